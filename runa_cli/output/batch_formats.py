"""The recorded result of a batch in every output format."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from runa_cli.core.states import State
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import UNMATCHED, Batch, Order, Tally
from runa_cli.ledger.results import COLUMNS, ResultRow, carried_headings
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.gift_lines import batch_gifts, order_gifts
from runa_cli.output.money_line import money_line
from runa_cli.output.order_facts import order_summary, reply_document
from runa_cli.output.stdout import Output
from runa_cli.output.tables import Part, order_parts

LONG_TABLE = 10  # gifts, whose links may need a line each
_STATES_SHOWN = (State.COMPLETED, State.ACCEPTED, State.FAILED)


def show_batch(output: Output, ledger: Ledger, batch: Batch, *, total: bool = True) -> None:
    """Write the recorded result of a batch in the output's format. Raises OutputFailed.

    A long table ends with what became of the money, unless `total` is False.
    """

    def documents() -> Iterator[object]:
        return map(reply_document, _answered_orders(ledger, [batch]))

    # An order from flags that FAILED and was issued again makes two.
    has_several = len(list(islice(ledger.orders(batch, _STATES_SHOWN), 2))) > 1
    view = View(
        entries=documents,
        documents=documents if batch.shape == "object" and not has_several else None,
        table=lambda width: _batch_table(ledger, batch, width, total=total),
        csv_header=(*COLUMNS, *carried_headings(batch.columns)),
        csv_cells=lambda: (row.cells() for row in result_rows(ledger, batch)),
        links=lambda: links(ledger, batch),
        gifts=lambda: batch_gifts(ledger, batch),
        dialect=batch.dialect,
    )
    formats.show(output, view)


def show_batches(output: Output, ledger: Ledger, batches: Sequence[Batch]) -> None:
    """Write the recorded results of several batches; as JSON, one list of all their orders. Raises OutputFailed."""
    if output.format == "json":
        output.json_list(map(reply_document, _answered_orders(ledger, batches)))
        output.flush()
        return
    for batch in batches:
        show_batch(output, ledger, batch)


def _batch_table(ledger: Ledger, batch: Batch, width: int | None, *, total: bool) -> Iterator[Part]:
    for number, order in enumerate(ledger.orders(batch, _STATES_SHOWN)):
        if number:
            yield Part("")
        gifts = ledger.order_results(order)
        rows = [*map(results.row_from_ledger, gifts), *results.unmatched_rows(order, gifts)]
        yield from order_parts(order_summary(order, batch), rows, width)
    if total:
        yield from total_parts(ledger.tally(batch))


def total_parts(tally: Tally) -> Iterator[Part]:
    """Yield what became of the money as the last line of a table that is long; nothing for a short one."""
    if sum(tally.items.values()) >= LONG_TABLE:
        yield Part("")
        yield Part(money_line(tally))


def order_writer(output: Output, ledger: Ledger) -> Callable[[Order], None] | None:
    """Return what writes one order in a format that shows orders as they settle; None for other formats.

    It raises OutputFailed and LedgerUnusable.
    """

    def write_gifts(order: Order) -> None:
        for gift in order_gifts(ledger, order):
            output.json_line(gift)

    def write_reply(order: Order) -> None:
        if is_answered(order):
            output.json_line(reply_document(order))

    return {"gifts": write_gifts, "jsonl": write_reply}.get(output.format)


def is_answered(order: Order) -> bool:
    """Tell whether there is an order of Runa's to show for a recorded one."""
    return order.state in _STATES_SHOWN and bool(order.reply)


def links(ledger: Ledger, batch: Batch) -> Iterator[str]:
    """Yield the batch's payout links in the order of its gifts, those that match no gift last."""
    yield from ledger.payout_urls(batch)
    yield from (row.payout_url for row in unmatched_rows(ledger, batch) if row.payout_url)


def result_rows(ledger: Ledger, batch: Batch) -> Iterator[ResultRow]:
    """Yield one result row for each gift of the batch, then one for each answered item that matches none of them.

    A gift that was recorded before the batch got further columns has empty cells there.
    """
    for row in map(results.row_from_ledger, ledger.results(batch)):
        missing = len(batch.columns) - len(row.carried)
        yield row._replace(carried=(*row.carried, *[""] * missing)) if missing > 0 else row
    yield from unmatched_rows(ledger, batch)


def unmatched_rows(ledger: Ledger, batch: Batch) -> Iterator[ResultRow]:
    """Yield a result row for each item of Runa's answers that matches no gift of the batch."""
    for order in unmatched_orders(ledger, batch):
        yield from results.unmatched_rows(order, ledger.order_results(order))


def unmatched_orders(ledger: Ledger, batch: Batch) -> Iterator[Order]:
    """Yield the orders of which Runa's answer does not match all rows."""
    return (order for order in ledger.orders(batch, [State.COMPLETED]) if order.error_type == UNMATCHED)


def _answered_orders(ledger: Ledger, batches: Iterable[Batch]) -> Iterator[Order]:
    for batch in batches:
        yield from (order for order in ledger.orders(batch, _STATES_SHOWN) if order.reply)
