"""A run ends in one error: its type, its exit code and what it says about the money."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from runa_cli.core.errors import Context, CredentialRefused, Money, OrderFailed, OrderRefused, OutcomeUnknown, RunaError
from runa_cli.core.states import State
from runa_cli.issuing.outcome import BatchRun
from runa_cli.ledger.records import Batch, Order, Tally

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FAILURES: dict[State, RunaError | None] = {
    State.COMPLETED: None,
    State.PREPARED: CredentialRefused("no", code="forbidden"),
    State.SENT: OutcomeUnknown("unknown", money=Money.UNKNOWN),
    State.ACCEPTED: OutcomeUnknown("slow", code="still_processing", money=Money.UNKNOWN),
    State.REJECTED: OrderRefused("no funds", code="insufficient_funds"),
    State.FAILED: OrderFailed("failed"),
}


def run_of(*states: State, interrupted: bool = False) -> BatchRun:
    """Return the run of a batch whose orders ended in these states."""
    batch = Batch(
        environment="live",
        name="bonus",
        named=True,
        source="file",
        shape="list",
        fingerprint="f",
        account="wg",
        columns=(),
        id=1,
        created_at=NOW,
        shown_at=None,
        pruned_at=None,
    )
    tally = Tally(Counter(), Counter(), {})
    run = BatchRun(batch, tally, interrupted=interrupted)
    for position, state in enumerate(states, 1):
        tally.count(state, Decimal(10), "USD", 1)
        run.add_failure(order(position, state), FAILURES[state])
    return run


def order(position: int, state: State) -> Order:
    return Order(
        id=position, batch_id=1, position=position, generation=0, idempotency_key=f"key {position}", own_key=False,
        body=b"{}", body_sha256="", sent_sha256="",
        mode="sync", currency="USD", total="10", item_count=1, account="xxtests",
        state=state, prepared_at=NOW, first_sent_at=None, settled_at=None, order_id=None, http_status=None,
        request_id=None, error_type=None, error_text=None, same_errors=0, reply=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("states", "exit_code", "money"),
    [
        ("rejected", 5, "not_issued"),
        ("sent", 7, "unknown"),
        ("prepared", 4, "not_issued"),
        ("failed", 5, "not_issued"),
        ("completed rejected", 8, "partial"),
        ("completed sent", 8, "partial"),
        ("completed failed", 8, "partial"),
        ("rejected rejected", 5, "not_issued"),
        ("prepared prepared", 4, "not_issued"),
        ("rejected failed", 5, "not_issued"),
        ("prepared sent", 7, "unknown"),
        ("rejected sent", 7, "unknown"),
        ("rejected accepted", 7, "unknown"),
        ("sent accepted", 7, "unknown"),
    ],
)
def test_the_exit_code_and_the_money_of_a_run(states: str, exit_code: int, money: str) -> None:
    error = run_of(*map(State, states.split())).error()
    assert error is not None
    assert (exit_code, money) == (error.exit_code, str(error.money))


def test_a_run_in_which_everything_is_done_has_no_error() -> None:
    assert run_of(State.COMPLETED, State.COMPLETED).error() is None
    assert run_of(State.COMPLETED, interrupted=True).error() is None


@pytest.mark.parametrize(
    ("states", "money"),
    [("prepared prepared", "not_issued"), ("completed prepared", "partial"), ("completed sent prepared", "unknown")],
)
def test_an_interrupted_run_says_what_became_of_the_money(states: str, money: str) -> None:
    error = run_of(*map(State, states.split()), interrupted=True).error()
    assert error is not None
    assert (130, money, Context(batch="bonus")) == (error.exit_code, str(error.money), error.context)


def test_only_the_first_fifty_failures_are_kept_and_all_are_counted() -> None:
    run = run_of(*[State.REJECTED] * 60)
    assert (50, 60) == (len(run.failures), run.failure_count)
    error = run.error()
    assert error is not None
    assert "and 55 more" in error.message
