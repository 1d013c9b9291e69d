"""`order create --by-reference`: issues each reference once, and shows the gifts of the input wherever they are."""

from collections.abc import Callable, Iterator
from itertools import islice

from msgspec import Struct

from runa_cli.app import show_outcome
from runa_cli.app.resume import Result as BatchResult
from runa_cli.app.resume import combined_error, named_result
from runa_cli.app.session import Session
from runa_cli.core.errors import RunaError
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest
from runa_cli.issuing import by_reference
from runa_cli.issuing.issuer import Issuer, Preflight
from runa_cli.issuing.outcome import BatchRun
from runa_cli.issuing.references import KnownOrders
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order, Placed, Result, Tally
from runa_cli.ledger.results import COLUMNS, ResultRow, carried_headings
from runa_cli.ledger.rows import from_list
from runa_cli.output import batch_formats, formats
from runa_cli.output.formats import View
from runa_cli.output.gift_lines import recorded_gift, unmatched_gifts
from runa_cli.output.order_facts import order_summary, reply_document
from runa_cli.output.stdout import Output
from runa_cli.output.tables import Part, order_parts

_GIFTS_AT_A_TIME = 400


def issue(session: Session, plan: Plan, request: CreateRequest, preflight: Preflight | None) -> None:
    """Issue what is new, finish what is unfinished, and show every gift of the input. Raises the error of the run."""
    ledger, output = session.ledger, session.output
    lines = show_outcome.lines_as_settled(session, _gift_writer(output, ledger, plan))
    issuer = session.issuer(wait=request.wait, progress=lines)
    with issuer.balances.after(), by_reference.recorded(issuer, plan, request, preflight) as known:
        gifts = _Gifts(ledger, plan, known)
        before = gifts.tally()
        outcomes = _send(issuer, known, again=request.again)
        shown = show_outcome.Shown(
            batches=[run.batch for run in _final(outcomes) if known.gifts[run.batch.id] >= _count(ledger, run.batch)],
            write=lambda: (
                lines.finish(gifts.orders(), at_once=any(each.run and each.run.left_in_flight for each in outcomes))
                if lines
                else formats.show(output, gifts.view(total=not show_outcome.says_total(session)))
            ),
            hint="the same command shows it.",
            file_hint="The same command writes them again.",
            rows=gifts.rows,
            columns=plan.columns,
            dialect=plan.dialect,
            before=before,
            tally=gifts.tally,
        )
        show_outcome.write_and_raise(session, shown, combined_error(outcomes), request.results)


def _send(issuer: Issuer, known: KnownOrders, *, again: bool) -> list[BatchResult]:
    """Send and settle what is unfinished, batch by batch, and return what became of each batch."""
    outcomes: list[BatchResult] = []
    for batch_id in known.batches():
        batch, rows = issuer.ledger.batch_by_id(batch_id), known.rows(batch_id)
        run, error = None, None
        if outcomes and outcomes[-1].interrupted:
            error = BatchRun(batch, issuer.ledger.tally(batch, rows), interrupted=True).error()
        else:
            try:
                run = issuer.send(batch, again=again, only=rows)
                error = run.error()
            except RunaError as raised:
                error = raised
        outcomes.append(named_result(batch, run, error))
    return outcomes


def _final(outcomes: list[BatchResult]) -> Iterator[BatchRun]:
    return (outcome.run for outcome in outcomes if outcome.run and not outcome.run.may_change)


def _count(ledger: Ledger, batch: Batch) -> int:
    return sum(ledger.tally(batch).items.values())


# --- showing ---------------------------------------------------------------------------------------------------------


def _gift_writer(output: Output, ledger: Ledger, plan: Plan) -> Callable[[Order], None]:
    """Return what writes the gifts of an order that are part of the input, as lines of JSON."""

    def write(order: Order) -> None:
        batch, found = ledger.batch_by_id(order.batch_id), ledger.order_results(order)
        placed = plan.placed([result.gift_id for result in found])
        for result in found:
            if result.gift_id in placed:
                output.json_line(recorded_gift(_as_placed(result, placed[result.gift_id]), batch, plan.columns))
        for gift in unmatched_gifts(order, found, batch):
            output.json_line(gift)

    return write


def _as_placed(result: Result, gift: Placed) -> Result:
    """Return a recorded gift with its row, reference and carried cells in this input."""
    return result._replace(row=gift.row, reference=gift.reference, carried=from_list(gift.carried))


class _Gifts(Struct, frozen=True):
    """The recorded gifts of a plan and their orders, as every format shows them."""

    ledger: Ledger
    plan: Plan
    known: KnownOrders

    def orders(self) -> Iterator[Order]:
        """Yield the orders that hold a gift of the input."""
        for batch_id in self.known.batches():
            yield from self.ledger.orders(self.ledger.batch_by_id(batch_id), only=self.known.rows(batch_id))

    def rows(self) -> Iterator[ResultRow]:
        """Yield a row for each gift in the order of the input, and last the answered items that match none."""
        placed = self.plan.left_out()
        while chunk := list(islice(placed, _GIFTS_AT_A_TIME)):
            found = self.ledger.results_of([gift.id for gift in chunk])
            yield from (results.row_from_ledger(_as_placed(found[gift.id], gift)) for gift in chunk)
        for order in self.orders():
            yield from results.unmatched_rows(order, self.ledger.order_results(order))

    def tally(self) -> Tally:
        """Count the gifts of the input and their money by the states of their orders, each as an order of its own."""
        tally = Tally()
        for chunk in self.plan.left_out_amounts():
            states = self.ledger.states_of([recorded for recorded, _, _ in chunk])
            for recorded, currency, value in chunk:
                tally.count(states[recorded], value, currency, items=1)
        return tally

    def view(self, *, total: bool) -> View:
        """Return the gifts as every format but lines shows them. `total`: a long table ends with the money."""
        return View(
            entries=lambda: map(reply_document, filter(batch_formats.is_answered, self.orders())),
            table=lambda width: self._table(width, total=total),
            csv_header=(*COLUMNS, *carried_headings(self.plan.columns)),
            csv_cells=lambda: (row.cells() for row in self.rows()),
            links=lambda: (row.payout_url for row in self.rows() if row.payout_url),
            dialect=self.plan.dialect,
        )

    def _table(self, width: int | None, *, total: bool) -> Iterator[Part]:
        for number, order in enumerate(filter(batch_formats.is_answered, self.orders())):
            if number:
                yield Part("")
            batch, found = self.ledger.batch_by_id(order.batch_id), self.ledger.order_results(order)
            placed = self.plan.placed([result.gift_id for result in found])
            own = (result for result in found if result.gift_id in placed)
            rows = [results.row_from_ledger(_as_placed(result, placed[result.gift_id])) for result in own]
            yield from order_parts(order_summary(order, batch), [*rows, *results.unmatched_rows(order, found)], width)
        if total:
            yield from batch_formats.total_parts(self.tally())
