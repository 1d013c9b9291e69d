"""The only place where standard output is written: formats of finished data, and what happens when it cannot be."""

import io
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from runa_cli.api import responses
from runa_cli.core import exact_json
from runa_cli.core.errors import Context, Money, OutputFailed
from runa_cli.core.safe_text import printable
from runa_cli.issuing.outcome import money
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order, State
from runa_cli.ledger.results import Line
from runa_cli.output.tables import Part, Summary, order_parts

_SHOWN = (State.COMPLETED, State.ACCEPTED, State.FAILED)


class BrokenOutput(OutputFailed):
    """Whoever read the answer to a question has gone, having read enough."""


class Output:
    """Standard output in one format."""

    def __init__(self, output_format: str, *, no_color: bool = False) -> None:
        self.format = output_format
        self._no_color = no_color
        self._stream = sys.stdout
        self.hint: str | None = None
        self.money = Money.NOT_ISSUED
        self.context = Context()
        self.asks = True  # whether nothing is shown but answers; what was just issued must reach somebody

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False

    @property
    def width(self) -> int | None:
        """The columns of the terminal; None where there is none and nothing needs to fit."""
        return Console().width if self.is_terminal else None

    def text(self, text: str, *, encoding: str = "utf-8") -> None:
        """Write text. Raises OutputFailed."""
        try:
            if self._stream is None:
                raise ValueError("standard output is closed")
            self._stream.flush()
            self._stream.buffer.write(text.encode(encoding, "replace"))
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def flush(self) -> None:
        """Make sure that all of it has left. Raises OutputFailed."""
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines as they come; a link or a name that could command a terminal is escaped. Raises OutputFailed."""
        for line in lines:
            self.text(printable(line) + "\n")

    def parts(self, parts: Iterable[Part]) -> None:
        """Write what a table is made of. Raises OutputFailed."""
        buffer = io.StringIO()
        console = Console(
            file=buffer,
            force_terminal=self.is_terminal,
            color_system=None if self._no_color else "auto",  # without it no style at all is written
            width=self.width or 100_000,
            highlight=False,
            markup=False,
            emoji=False,
        )
        console.legacy_windows = False
        for part in parts:
            console.print(part.content, soft_wrap=part.whole, crop=False)
        text = "\n".join(line.rstrip(" ") for line in buffer.getvalue().split("\n"))
        self.text(text, encoding=getattr(self._stream, "encoding", None) or "utf-8")

    def json(self, value: object) -> None:
        """Write one document. Raises OutputFailed."""
        self.text(exact_json.shown(value, indent=2) + "\n")

    def json_list(self, values: Iterable[object]) -> None:
        """Write one document that is a list, a member at a time. Raises OutputFailed."""
        separator = "["
        for value in values:
            text = exact_json.shown(value, indent=2).replace("\n", "\n  ")
            self.text(f"{separator}\n  {text}")
            separator = ","
        self.text("[]\n" if separator == "[" else "\n]\n")

    def json_line(self, value: object) -> None:
        """Write one value on a line of its own, at once. Raises OutputFailed."""
        self.text(exact_json.shown(value) + "\n")
        self.flush()

    def _failed(self, error: Exception) -> OutputFailed:
        silence(self._stream)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return self.failed(reason, broken=isinstance(error, BrokenPipeError))

    def failed(self, reason: str, *, broken: bool = False) -> OutputFailed:
        """Return the error for output that could not be written."""
        kind = BrokenOutput if broken and self.asks else OutputFailed
        return kind(f"The output could not be written: {reason}.", self.hint, self.context, money=self.money)


def silence(stream: Any) -> None:
    """Point a broken stream at nothing, so that the interpreter's last flush cannot fail again."""
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


# --- batches ---------------------------------------------------------------------------------------------------------


def show_batch(output: Output, ledger: Ledger, batch: Batch) -> None:
    """Write the recorded result of a batch in the output's format. Raises OutputFailed."""
    match output.format:
        case "json":
            _batch_json(output, ledger, batch)
        case "jsonl":
            for order in ledger.orders(batch, _SHOWN):
                show_order_line(output, order)
        case "csv":
            for line in results.results_csv(_lines(ledger, batch), batch.columns):
                output.text(line)
        case "links":
            output.lines(line.payout_url for line in _lines(ledger, batch) if line.payout_url)
        case _:
            _batch_table(output, ledger, batch)
    output.flush()


def show_batches(output: Output, ledger: Ledger, batches: Sequence[Batch]) -> None:
    """Write the recorded results of several batches; as JSON, one list over all. Raises OutputFailed."""
    if output.format == "json":
        orders = (order for batch in batches for order in ledger.orders(batch, _SHOWN) if order.reply)
        output.json_list(map(document, orders))
        output.flush()
        return
    for batch in batches:
        show_batch(output, ledger, batch)


def _batch_json(output: Output, ledger: Ledger, batch: Batch) -> None:
    documents = (document(order) for order in ledger.orders(batch, _SHOWN) if order.reply)
    if batch.shape == "list":
        output.json_list(documents)
        return
    for single in documents:
        output.json(single)


def _batch_table(output: Output, ledger: Ledger, batch: Batch) -> None:
    between = False
    for order in ledger.orders(batch, _SHOWN):
        lines = [results.from_ledger(result) for result in ledger.order_results(order)]
        if between:
            output.text("\n")
        output.parts(order_parts(order_summary(order, batch), lines, output.width))
        between = True


def show_order_line(output: Output, order: Order) -> None:
    """Write a settled order as one line of JSON. Raises OutputFailed."""
    if order.state in _SHOWN and order.reply:
        output.json_line(document(order))


def _lines(ledger: Ledger, batch: Batch) -> Iterator[Line]:
    return map(results.from_ledger, ledger.results(batch))


def document(order: Order) -> dict[str, Any]:
    """Return Runa's own object for a recorded order."""
    return responses.document(order.reply or b"{}")


def order_summary(order: Order, batch: Batch) -> Summary:
    """Return the facts of a recorded order."""
    answered = document(order)
    facts = [
        ("Batch", batch.name),
        ("Environment", batch.environment),
        ("Items", str(order.item_count)),
        *_api_facts(answered, money({order.currency: responses.as_decimal(order.total)})),
    ]
    return Summary("Order", order.order_id or "", str(answered.get("status") or order.state), facts)


def api_summary(order: dict[str, Any]) -> Summary:
    """Return the facts of an order as Runa shows it."""
    return Summary("Order", str(order.get("id", "")), str(order.get("status", "")), [*_api_facts(order, ""), ("", "")])


def _api_facts(order: dict[str, Any], total: str) -> list[tuple[str, str]]:
    price = f"{order.get('total_price', '')} {order.get('currency', '')}".strip()
    discount = responses.as_decimal(order.get("total_discount"))
    return [
        ("Face value", total),
        ("Price", price + (f", discount {discount}" if discount else "")),
        ("Exchange", exchange(order.get("transaction_detail"))),
        ("Description", str(order.get("description") or "")),
        ("Created", _time(order.get("created_at"))),
        ("Completed", _time(order.get("completed_at"))),
        ("Message", str(order.get("message") or "")),
    ]


def exchange(detail: object) -> str:
    """Say at what rate and fee Runa converts, where it does."""
    for entry in detail.values() if isinstance(detail, dict) else ():
        rate = entry.get("fx") if isinstance(entry, dict) else None
        if isinstance(rate, dict):
            fee = rate.get("fee")
            taken = f", fee {fee.get('value')} {fee.get('currency')}" if isinstance(fee, dict) else ""
            return f"{rate.get('rate_symbol')} {rate.get('rate')}{taken}"
    return ""


def _time(value: object) -> str:
    moment = responses.parse_time(str(value)) if value else None
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def write_results(path: Path, ledger: Ledger, batch: Batch, became: Money) -> None:
    """Write the results as CSV for the owner alone, whole or not at all. Raises OutputFailed."""
    hint = f"`runa batch export {batch.name} -o csv` writes them again."
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.writelines(results.results_csv(_lines(ledger, batch), batch.columns))
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise OutputFailed(
            f"The results could not be written to {path}: {error.strerror}.",
            hint,
            Context(batch=batch.name),
            money=became,
        ) from error
