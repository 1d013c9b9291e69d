"""What is said about where an order was issued is certain, whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from runa_cli.api.classify import Reply
from runa_cli.core.states import State
from runa_cli.issuing.origin import was_issued_elsewhere
from runa_cli.ledger.records import Order

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)  # by Runa's clock, when it answers
HOUR = 3600.0
DAY = 24 * HOUR


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def order(*, recorded: float, ahead: float = 0.0) -> Order:
    """Return an order that was recorded and sent so many seconds ago, by a clock that was ahead then."""
    time = ago(recorded - ahead)
    return Order(
        id=1, batch_id=1, position=1, generation=0, idempotency_key="k", own_key=False, body=b"{}", body_sha256="",
        sent_sha256="",
        mode="sync", currency="USD", total="10", item_count=1, account="xxtests", state=State.COMPLETED,
        prepared_at=time, first_sent_at=time, settled_at=None, order_id="O-1", http_status=None, request_id=None,
        error_type=None, error_text=None, same_errors=0, reply=None,
    )  # fmt: skip


def reply(*, ahead: float = 0.0, dated: bool = True) -> Reply:
    """Return an answer that is received by a clock that is ahead."""
    headers = {"Date": format_datetime(NOW, usegmt=True)} if dated else {}
    return Reply(200, b"", headers, NOW + timedelta(seconds=ahead))


@pytest.mark.parametrize(
    ("created", "recorded", "ahead", "same_clock", "expected"),
    [
        # Created by this run, whatever this machine's clock says.
        (1.0, 1.0, 0.0, False, False),
        (1.0, 1.0, 5 * HOUR, False, False),
        (1.0, 1.0, -5 * HOUR, False, False),
        (1.0, 1.0, 2.9, False, False),
        (0.1, 0.1, 0.0, True, False),
        (1.0, 1.0, 20 * HOUR, True, False),
        # Created before this run sent it.
        (10.0, 1.0, 0.0, False, True),
        (10.0, 1.0, 5 * HOUR, False, True),
        (10.0, 1.0, -5 * HOUR, False, True),
        (1.0, 0.1, 0.0, True, True),
        # Too close to tell.
        (3.5, 1.0, 0.0, False, False),
        (0.3, 0.2, 0.0, True, False),
    ],
)
def test_an_order_that_this_run_sent_first(
    created: float, recorded: float, ahead: float, same_clock: bool, expected: bool
) -> None:
    sent = order(recorded=recorded, ahead=ahead)
    assert expected is was_issued_elsewhere(
        ago(created), sent, reply(ahead=ahead), sent_for=recorded, same_clock=same_clock
    )


def test_a_machine_that_slept_meanwhile_sent_it_all_the_same() -> None:
    """A monotonic clock stands still while a machine sleeps."""
    sent = order(recorded=8 * HOUR)
    assert not was_issued_elsewhere(ago(8 * HOUR), sent, reply(), sent_for=2.0, same_clock=False)


def test_without_a_date_of_runas_nothing_is_certain() -> None:
    sent = order(recorded=1.0)
    assert not was_issued_elsewhere(ago(HOUR), sent, reply(dated=False), sent_for=1.0, same_clock=False)


@pytest.mark.parametrize(
    ("created", "recorded", "ahead", "expected"),
    [
        (5 * DAY, 2 * DAY, 0.0, True),
        (2 * DAY, 2 * DAY, 0.0, False),
        (2 * DAY, 2 * DAY, 20 * HOUR, False),  # the clock was ahead when it was recorded
        (2.5 * DAY, 2 * DAY, 0.0, False),
        (1 * DAY, 1 * DAY, 5 * DAY, False),  # recorded in the future: nothing is known of that clock
    ],
)
def test_an_order_that_an_earlier_run_may_have_sent(
    created: float, recorded: float, ahead: float, expected: bool
) -> None:
    sent = order(recorded=recorded, ahead=ahead)
    assert expected is was_issued_elsewhere(ago(created), sent, reply(), sent_for=None, same_clock=False)
