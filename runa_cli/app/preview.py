"""What a dry run shows of its plan: what each column was taken for, the facts, the first rows, and every row as CSV."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from runa_cli.app.session import Session
from runa_cli.core.errors import RunaError
from runa_cli.core.identity import label_text
from runa_cli.core.money import counted, format_gifts, format_money, plain_amount, plain_decimal
from runa_cli.core.states import GIVEN_UP, State
from runa_cli.input.places import FLAGS
from runa_cli.input.plan import ColumnUse, Plan, PlannedRow
from runa_cli.input.request import CreateRequest, OrderInput
from runa_cli.issuing.confirmation import ISSUED, source_of
from runa_cli.issuing.contents import contents_left
from runa_cli.issuing.refusals import reasons
from runa_cli.ledger import results
from runa_cli.output.tables import Column, Part, Summary, list_parts, summary_parts

FIRST_ROWS = 8
SEND, ALREADY_ISSUED, REFUSED = "send", "issued", "refused"
CSV_HEADER = ("row", "reference", "email", "face_value", "currency", "products", "action", "order_id", "reason")
_AT_A_TIME = 400

Found = Mapping[int, tuple[State, str | None]]  # state and order id by the id of a recorded gift
Find = Callable[[Sequence[int]], Found]


class Preview(Struct, frozen=True):
    """A checked plan. `issued` says what is issued already; `refusal` is the error that the dry run ends in.

    `find` finds recorded gifts of which the plan knows only the ids. `orders` counts the requests. `policy` says which
    limits come near.
    """

    plan: Plan
    request: CreateRequest
    issued: str
    orders: int
    refusal: RunaError | None
    find: Find
    policy: str = ""

    # --- rows ----------------------------------------------------------------------------------------------------

    def csv_cells(self) -> Iterator[list[str]]:
        """Yield the cells of every row of the input."""
        for row, action, reason, order_id in self._rows():
            item = results.row_from_item(row.item)
            yield [
                *(str(row.row), row.reference or "", item.email),
                *(plain_amount(item.face_value, row.currency) or "", row.currency),
                *("|".join(item.products), action, order_id or "", reason, *row.carried),
            ]

    def _rows(self) -> Iterator[tuple[PlannedRow, str, str, str | None]]:
        """Yield each gift with what a create would do with it and why, and the order it is part of already."""
        rows = self.plan.rows()
        while chunk := list(islice(rows, _AT_A_TIME)):
            unknown = [row.recorded_id for row in chunk if row.recorded_id is not None and row.state is None]
            found = self.find(unknown) if unknown else {}
            for row in chunk:
                state, order_id = found.get(row.recorded_id or 0, (row.state, row.order_id))
                yield row, *self._action(row, state), order_id

    def _action(self, row: PlannedRow, state: State | None) -> tuple[str, str]:
        if state in ISSUED:
            return ALREADY_ISSUED, ""
        if state in GIVEN_UP:
            return REFUSED, f"{state} before: it is not issued again by itself"
        if self.refusal is None:
            return SEND, ""
        single = reasons(self.refusal)
        if single is None:
            return REFUSED, self.refusal.code
        return (REFUSED, single[row.identity]) if row.identity in single else (SEND, "")

    # --- table ---------------------------------------------------------------------------------------------------

    def parts(self, session: Session, width: int | None) -> Iterator[Part]:
        """Yield the facts and the first rows. `width` is None where there is no terminal."""
        outcome = "nothing was sent or recorded" if self.refusal is None else "refused, nothing was sent or recorded"
        yield from summary_parts(Summary("Dry run:", outcome, "", self._facts(session)), width)
        yield Part("")
        rows = [_cells(row, action) for row, action, _, _ in islice(self._rows(), FIRST_ROWS)]
        yield from list_parts(_COLUMNS, rows, width)
        if (more := self.plan.item_count - len(rows)) > 0:
            yield Part(f"… and {more:,} more; -o csv shows every row")

    def _facts(self, session: Session) -> list[tuple[str, str]]:
        plan, request = self.plan, self.request
        contents = contents_left(plan)
        return [
            ("Input", source_of(plan)),
            ("Columns", ", ".join(map(_column, plan.column_uses))),
            ("Filled in", "; ".join(_filled_in(plan, request.order_input))),
            ("Environment", f"{session.environment}, account {session.settings.payer}"),
            ("Batch", request.batch or ""),
            ("Items", f"{plan.item_count:,}"),
            ("Total", format_money(plan.sums)),
            ("Already issued", "" if self.refusal and self.issued == "none" else self.issued),
            self._verdict(),
            ("Delivery", contents.delivery),
            ("Products", contents.product_list if plan.count_left else ""),
            ("To be sent", "" if self.refusal else counted(self.orders, "order")),
            ("Policy", "" if self.refusal else self.policy),
            ("Confirmation", self._confirmation() if self.orders and not self.refusal else ""),
        ]

    def _verdict(self) -> tuple[str, str]:
        """Return the fact of what is new, or of what is refused."""
        plan = self.plan
        if self.refusal is None:
            return (
                "New",
                f"{format_gifts(plan.count_left)}, {format_money(plan.sums_left)}" if plan.count_left else "none",
            )
        single = reasons(self.refusal)
        count = plan.count_left if single is None else plan.count_left_of(single)
        return "Refused", f"{format_gifts(count)}, and so nothing is sent"

    def _confirmation(self) -> str:
        if not self.request.asks:
            return ""
        sums = list(self.plan.sums_left.items())
        total = f" or --confirm-total {plain_decimal(sums[0][1], sums[0][0])}" if len(sums) == 1 else ""
        return f"asked for before sending; without a terminal it needs --yes{total}"


def _column(use: ColumnUse) -> str:
    """Say what a column was taken for."""
    heading = use.heading or "(no name)"
    if use.added:
        return f"{heading} (left out)"
    if use.field is None:
        return f"{heading} (carried)"
    return heading if heading == use.field else f"{heading} → {use.field}"


def _filled_in(plan: Plan, order_input: OrderInput) -> Iterator[str]:
    """Yield what flags and settings say about the gifts; in flags alone, only what the settings add."""
    for name, value in order_input.fields().items():
        flag = FLAGS[name]
        origin = order_input.settings.get(flag)
        if origin is None and plan.file is None:
            continue
        yield f"{name} {'|'.join(value) if isinstance(value, list) else value} from {origin or flag}"


_COLUMNS = (
    Column("#", number=True, style="dim"),
    Column("Recipient"),
    Column("Value", number=True, no_wrap=True),
    Column("Products"),
    Column("Action", no_wrap=True),
)


def _cells(row: PlannedRow, action: str) -> list[str]:
    item = results.row_from_item(row.item)
    recipient = item.recipient or label_text(row.reference, row.carried) or "payout link"
    return [str(row.row), recipient, f"{item.face_value} {row.currency}", ", ".join(item.products), action]
