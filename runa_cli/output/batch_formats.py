"""The recorded result of a batch in every output format."""

from collections.abc import Iterator, Sequence

from runa_cli.core.states import State
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order
from runa_cli.ledger.results import ResultRow
from runa_cli.output import csv_format
from runa_cli.output.order_facts import order_summary, runa_object
from runa_cli.output.stdout import Output
from runa_cli.output.tables import order_parts

_SHOWN = (State.COMPLETED, State.ACCEPTED, State.FAILED)


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
            for line in csv_format.results_csv(result_rows(ledger, batch), batch.columns):
                output.text(line)
        case "links":
            output.lines(line.payout_url for line in result_rows(ledger, batch) if line.payout_url)
        case _:
            _batch_table(output, ledger, batch)
    output.flush()


def show_batches(output: Output, ledger: Ledger, batches: Sequence[Batch]) -> None:
    """Write the recorded results of several batches; as JSON, one list over all. Raises OutputFailed."""
    if output.format == "json":
        orders = (order for batch in batches for order in ledger.orders(batch, _SHOWN) if order.reply)
        output.json_list(map(runa_object, orders))
        output.flush()
        return
    for batch in batches:
        show_batch(output, ledger, batch)


def _batch_json(output: Output, ledger: Ledger, batch: Batch) -> None:
    documents = (runa_object(order) for order in ledger.orders(batch, _SHOWN) if order.reply)
    if batch.shape == "list":
        output.json_list(documents)
        return
    for single in documents:
        output.json(single)


def _batch_table(output: Output, ledger: Ledger, batch: Batch) -> None:
    between = False
    for order in ledger.orders(batch, _SHOWN):
        lines = [results.row_from_ledger(result) for result in ledger.order_results(order)]
        if between:
            output.text("\n")
        output.parts(order_parts(order_summary(order, batch), lines, output.width))
        between = True


def show_order_line(output: Output, order: Order) -> None:
    """Write a settled order as one line of JSON. Raises OutputFailed."""
    if order.state in _SHOWN and order.reply:
        output.json_line(runa_object(order))


def result_rows(ledger: Ledger, batch: Batch) -> Iterator[ResultRow]:
    """Yield the batch's gifts as rows of a result."""
    return map(results.row_from_ledger, ledger.results(batch))
