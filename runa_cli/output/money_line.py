"""The sentence that says what became of the gifts and the money of a run."""

from decimal import Decimal

from runa_cli.core.money import format_gifts, format_money
from runa_cli.core.states import State
from runa_cli.ledger.records import Tally

STATE_WORDS = {
    State.COMPLETED: "issued",
    State.ACCEPTED: "still processed by Runa",
    State.SENT: "of unknown outcome",
    State.PREPARED: "not sent",
    State.REJECTED: "rejected",
    State.FAILED: "failed",
    State.ABANDONED: "given up, of unknown outcome",
}


def money_line(tally: Tally, before: Tally | None = None) -> str:
    """Return what became of gifts and money in one sentence, for example `300 gifts issued, 7,500.00 USD`.

    `before` are the counts before the run: what was issued then is told from what this run has issued.
    """
    unsent = tally.never_sent or Tally()
    parts = [
        f"{format_gifts(count)} {words}, {format_money(part.sums([state]))}{_issued_before(state, tally, before)}"
        for state, words, part in (
            *((state, words, _told_apart(tally, state)) for state, words in STATE_WORDS.items()),
            (State.ABANDONED, "given up unsent", unsent),
        )
        if (count := part.items[state])
    ]
    return "; ".join(parts or ["No gift"]) + "."


def _told_apart(tally: Tally, state: State) -> Tally:
    """Return what counts a state: of what was given up, only what may have been issued."""
    return tally.of_unknown_outcome if state is State.ABANDONED else tally


def _issued_before(state: State, tally: Tally, before: Tally | None) -> str:
    """Return how many of the issued gifts were issued before the run; empty for none and for other states."""
    known = before.items[state] if before and state is State.COMPLETED else 0
    if not before or not known:
        return ""
    if known >= tally.items[state]:
        return ", all before this run"
    money = {currency: amount for currency, amount in before.sums([state]).items() if amount != Decimal(0)}
    return f" ({known:,} of them before this run, {format_money(money)})"
