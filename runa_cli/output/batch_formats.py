"""The recorded result of a batch in every output format."""

from collections.abc import Iterator, Sequence

from runa_cli.core.states import State
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order
from runa_cli.ledger.results import COLUMNS, ResultRow
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.order_facts import order_summary, runa_object
from runa_cli.output.stdout import Output
from runa_cli.output.tables import Part, order_parts

_SHOWN = (State.COMPLETED, State.ACCEPTED, State.FAILED)


# --- batches ---------------------------------------------------------------------------------------------------------


def show_batch(output: Output, ledger: Ledger, batch: Batch) -> None:
    """Write the recorded result of a batch in the output's format. Raises OutputFailed."""

    def documents() -> Iterator[object]:
        return (runa_object(order) for order in ledger.orders(batch, _SHOWN) if order.reply)

    view = View(
        entries=documents,
        documents=None if batch.shape == "list" else documents,
        table=lambda width: _batch_table(ledger, batch, width),
        csv_header=(*COLUMNS, *batch.columns),
        csv_cells=lambda: (row.cells() for row in result_rows(ledger, batch)),
        links=lambda: links(ledger, batch),
    )
    formats.show(output, view)


def show_batches(output: Output, ledger: Ledger, batches: Sequence[Batch]) -> None:
    """Write the recorded results of several batches; as JSON, one list over all. Raises OutputFailed."""
    if output.format == "json":
        orders = (order for batch in batches for order in ledger.orders(batch, _SHOWN) if order.reply)
        output.json_list(map(runa_object, orders))
        output.flush()
        return
    for batch in batches:
        show_batch(output, ledger, batch)


def _batch_table(ledger: Ledger, batch: Batch, width: int | None) -> Iterator[Part]:
    between = False
    for order in ledger.orders(batch, _SHOWN):
        lines = [results.row_from_ledger(result) for result in ledger.order_results(order)]
        if between:
            yield Part("")
        yield from order_parts(order_summary(order, batch), lines, width)
        between = True


def show_order_line(output: Output, order: Order) -> None:
    """Write a settled order as one line of JSON. Raises OutputFailed."""
    if order.state in _SHOWN and order.reply:
        output.json_line(runa_object(order))


def links(ledger: Ledger, batch: Batch) -> Iterator[str]:
    """Yield the batch's payout links in the order of its gifts."""
    return (row.payout_url for row in result_rows(ledger, batch) if row.payout_url)


def result_rows(ledger: Ledger, batch: Batch) -> Iterator[ResultRow]:
    """Yield the batch's gifts as rows of a result."""
    return map(results.row_from_ledger, ledger.results(batch))
