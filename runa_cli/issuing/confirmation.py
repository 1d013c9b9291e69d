"""The questions before money moves: what is about to be sent, and whether another key's batch may be continued."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from runa_cli.core.errors import Context, GuardRefused
from runa_cli.core.money import format_gifts, format_money
from runa_cli.core.safe_text import printable
from runa_cli.core.states import UNFINISHED, State
from runa_cli.input.plan import STDIN, Plan
from runa_cli.issuing.contents import Contents
from runa_cli.issuing.terms import Ask
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Tally

ISSUED = (State.ACCEPTED, State.COMPLETED)


class ToSend(NamedTuple):
    """What is about to be sent, as the question names it.

    `source` is the file, or where else the gifts come from; `batch` is None where there are several. `before` says what
    was issued before, `policy` which limits come near, `note` what else a person should know.
    """

    source: str
    batch: str | None
    items: int
    sums: Mapping[str, Decimal]
    contents: Contents
    before: str = "none"
    note: str | None = None
    policy: str = ""

    @property
    def total(self) -> str:
        """How many gifts, and their face values."""
        return f"{format_gifts(self.items)}, {format_money(self.sums)}"

    @property
    def heading(self) -> str:
        """Where the gifts come from, and the batch."""
        return f"From {printable(self.source)}" + (f", as batch {self.batch}" if self.batch else "") + ":"

    def facts(self) -> Iterable[str]:
        """Yield the facts, a line each."""
        yield f"  New: {self.total}"
        yield f"  Issued before: {self.before}"
        yield f"  Delivery: {self.contents.delivery}"
        yield f"  Products: {self.contents.product_list}"
        if self.policy:
            yield f"  Policy: {self.policy}"
        if self.note:
            yield f"  Note: {self.note}"


def source_of(plan: Plan) -> str:
    """Return where the gifts of a plan come from."""
    if plan.file is None:
        return "flags"
    return "standard input" if plan.file == STDIN else plan.file


def issued_before(tally: Tally) -> str:
    """Say what a batch has issued already, and what of it is unfinished."""
    parts = []
    if issued := sum(tally.items[state] for state in ISSUED):
        parts.append(f"{format_gifts(issued)}, {format_money(tally.sums(ISSUED))}")
    if unknown := tally.items[State.SENT]:
        parts.append(f"{format_gifts(unknown)} of unknown outcome, asked for again under the same key")
    return "; ".join(parts) or "none"


def confirm_sending(to_send: ToSend, environment: str, payer: str, ask: Ask | None) -> None:
    """Ask whether this is to be sent. Raises GuardRefused for a no, and where nobody can be asked."""
    facts = "\n".join(to_send.facts())
    if ask is None:
        needs = "Live money needs a yes" if environment == "live" else f"--confirm needs a yes, in {environment} too"
        raise GuardRefused(
            f"{needs}: {to_send.total}, from account {payer}. Nothing was sent.\n{facts}",
            "Without a terminal, add --yes, or --confirm-total with this total.",
            code="not_confirmed",
        )
    if not ask(f"{to_send.heading}\n{facts}\nIssue {to_send.total}, in {environment}, from account {payer}?"):
        raise GuardRefused("Not confirmed. Nothing was sent.", code="not_confirmed")


def confirm_key(ledger: Ledger, batch: Batch, account: str, ask: Ask | None) -> None:
    """Make sure that a batch with orders of another key may be resumed and shown. Raises GuardRefused.

    Runa sees duplicates only inside one account, and whether two keys share one, only a person can tell.
    """
    others = ledger.accounts(batch) - {account}
    if not others:
        return
    keys = ", ".join(f"{other}.…" for other in sorted(others))
    begun = "begun" if ledger.tally(batch).any(*UNFINISHED) else "issued"
    message = f"Batch {batch.name} was {begun} under the key {keys}, and this is {account}.…"
    if ask is None or not ask(f"{message}. Runa sees duplicates only inside one account. Is it the same?"):
        raise GuardRefused(
            f"{message}. Nothing was sent.",
            "If both keys belong to the same account, add --yes. If not, use the key it was begun under.",
            Context(batch=batch.name),
            code="key_changed",
        )
