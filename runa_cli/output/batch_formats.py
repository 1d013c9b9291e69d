"""The recorded result of a batch in every output format."""

from collections.abc import Iterable, Iterator, Sequence

from runa_cli.core.states import State
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order
from runa_cli.ledger.results import ResultRow
from runa_cli.output.csv_format import results_csv
from runa_cli.output.order_facts import order_summary, reply_document
from runa_cli.output.stdout import Output
from runa_cli.output.tables import order_parts

_STATES_SHOWN = (State.COMPLETED, State.ACCEPTED, State.FAILED)


def show_batch(output: Output, ledger: Ledger, batch: Batch) -> None:
    """Write the recorded result of a batch in the output's format. Raises OutputFailed."""
    match output.format:
        case "json" if batch.shape == "list":
            output.json_list(map(reply_document, _answered_orders(ledger, [batch])))
        case "json":
            for order in _answered_orders(ledger, [batch]):
                output.json(reply_document(order))
        case "jsonl":
            for order in _answered_orders(ledger, [batch]):
                output.json_line(reply_document(order))
        case "csv":
            for text in results_csv(result_rows(ledger, batch), batch.columns):
                output.text(text)
        case "links":
            output.lines(row.payout_url for row in result_rows(ledger, batch) if row.payout_url)
        case _:
            _show_tables(output, ledger, batch)
    output.flush()


def show_batches(output: Output, ledger: Ledger, batches: Sequence[Batch]) -> None:
    """Write the recorded results of several batches; as JSON, one list of all their orders. Raises OutputFailed."""
    if output.format == "json":
        output.json_list(map(reply_document, _answered_orders(ledger, batches)))
        output.flush()
        return
    for batch in batches:
        show_batch(output, ledger, batch)


def show_order_line(output: Output, order: Order) -> None:
    """Write an order as one line of JSON, if Runa's reply shows one. Raises OutputFailed."""
    if order.state in _STATES_SHOWN and order.reply:
        output.json_line(reply_document(order))


def result_rows(ledger: Ledger, batch: Batch) -> Iterator[ResultRow]:
    """Yield one result row for each gift of the batch."""
    return map(results.row_from_ledger, ledger.results(batch))


def _answered_orders(ledger: Ledger, batches: Iterable[Batch]) -> Iterator[Order]:
    for batch in batches:
        yield from (order for order in ledger.orders(batch, _STATES_SHOWN) if order.reply)


def _show_tables(output: Output, ledger: Ledger, batch: Batch) -> None:
    for number, order in enumerate(ledger.orders(batch, _STATES_SHOWN)):
        if number:
            output.text("\n")
        rows = [results.row_from_ledger(result) for result in ledger.order_results(order)]
        output.parts(order_parts(order_summary(order, batch), rows, output.width))
