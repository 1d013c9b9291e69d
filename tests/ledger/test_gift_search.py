"""Orders are chosen by their search texts, which follow what happens to their gifts."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from runa_cli.core.states import State
from runa_cli.ledger import gift_search
from runa_cli.ledger.gift_search import EVERY_GIFT, GiftFilter
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Exchange, Order
from tests.support.ledgers import new_batch, order
from tests.support.searching import differences_in

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ISSUED = {"id": "E-1", "payout": {"url": "https://links.example/a1", "status": "ACTIVE"}}


def record(ledger: Ledger, number: int, environment: str = "local", orders: int = 1, days: int = 0) -> Batch:
    new = replace(new_batch(number), environment=environment)
    batch = ledger.record(
        new, [order(number, position) for position in range(1, orders + 1)],
        known=[], check=lambda: None, now=NOW + timedelta(days=days),
    )  # fmt: skip
    assert batch is not None
    assert ledger.claim(batch)
    return batch


def first(ledger: Ledger, batch: Batch) -> Order:
    return next(ledger.orders(batch))


def found(ledger: Ledger, *words: str) -> list[int]:
    return [*ledger.matching_orders("local", GiftFilter(words=words))]


def text_of(ledger: Ledger, row: int) -> str:
    (kept,) = ledger._engine.select("SELECT text FROM purchase_search WHERE purchase_id = ?", row)
    return str(kept["text"])


def test_orders_come_newest_first_and_of_one_environment(ledger: Ledger) -> None:
    record(ledger, 1, orders=2)
    record(ledger, 2, "live")
    record(ledger, 3)
    assert [4, 2, 1] == [*ledger.matching_orders("local", EVERY_GIFT)]
    assert [2, 1] == [*ledger.matching_orders("local", EVERY_GIFT, up_to=2)]
    assert [3] == [*ledger.matching_orders("live", EVERY_GIFT)]
    assert [] == [*ledger.matching_orders("playground", EVERY_GIFT)]


def test_no_order_is_left_out_between_two_looks(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where a page is full, nor where a window ends, nor where windows hold nothing."""
    monkeypatch.setattr(gift_search, "_PAGE", 2)
    monkeypatch.setattr(gift_search, "_FIRST_WINDOW", 3)
    monkeypatch.setattr(gift_search, "_LARGEST_WINDOW", 4)
    record(ledger, 1, orders=3)
    record(ledger, 2, "live", orders=20)
    record(ledger, 3, orders=9)
    expected = [*range(32, 23, -1), 3, 2, 1]
    assert expected == [*ledger.matching_orders("local", EVERY_GIFT)]
    assert expected == found(ledger, "r1")


def test_a_search_says_what_it_found_before_it_has_looked_at_everything(ledger: Ledger) -> None:
    """What is newer is shown while what is older is still read, and others can write meanwhile."""
    record(ledger, 1)
    batch = record(ledger, 2)
    results = ledger.matching_orders("local", GiftFilter(words=("r1",)))
    assert 2 == next(results)
    ledger.mark_rejected(first(ledger, batch), b"{}", Exchange(), NOW)
    assert [1] == [*results]


def test_orders_are_chosen_by_state_and_time(ledger: Ledger) -> None:
    for number in range(3):
        record(ledger, number, days=number)
    ledger.mark_failed(ledger.order(2), "O-2", b"{}", Exchange(), NOW)
    for wanted, expected in (
        (GiftFilter(states=frozenset({State.FAILED})), [2]),
        (GiftFilter(since=NOW + timedelta(days=1)), [3, 2]),
        (GiftFilter(until=NOW + timedelta(days=1)), [1]),
        (GiftFilter(words=("r1",), since=NOW + timedelta(days=1), until=NOW + timedelta(days=2)), [2]),
    ):
        assert expected == [*ledger.matching_orders("local", wanted)]
        fitting = [row for row in (3, 2, 1) if wanted.fits(ledger.order(row))]
        assert expected == fitting


def test_what_an_answer_tells_is_found(ledger: Ledger) -> None:
    batch = record(ledger, 1)
    ledger.mark_completed(
        first(ledger, batch), "O-7", b"{}", [ISSUED, None], exchange=Exchange(), now=NOW,
    )  # fmt: skip
    assert [[1], [1], [1], []] == [found(ledger, text) for text in ("o-7", "e-1", "links.example/a1", "o-8")]


def test_the_id_of_an_order_that_is_polled_is_kept_once(ledger: Ledger) -> None:
    accepted = first(ledger, record(ledger, 1))
    for _ in range(3):
        accepted = ledger.mark_accepted(accepted, "O-7", b"{}", Exchange())
    ledger.mark_completed(accepted, "O-7", b"{}", [ISSUED, None], exchange=Exchange(), now=NOW)
    assert 1 == text_of(ledger, 1).count("o-7")


def test_a_renewed_order_takes_its_search_text_along(ledger: Ledger) -> None:
    batch = record(ledger, 1)
    rejected = ledger.mark_rejected(first(ledger, batch), b"{}", Exchange(), NOW)
    renewed = ledger.renew(rejected, order(1, generation=1), NOW)
    assert [renewed.id] == found(ledger, "r1")
    assert ("", "r1\nr2") == (text_of(ledger, rejected.id), text_of(ledger, renewed.id))


def test_marks_of_a_pattern_are_plain_text(ledger: Ledger) -> None:
    record(ledger, 1)
    assert [[], [], []] == [found(ledger, text) for text in ("r%", "_1", "r\\1")]


def test_an_order_that_another_program_inserts_is_looked_at(ledger: Ledger) -> None:
    """It has no search text, and must not be left out."""
    record(ledger, 1)
    with ledger._engine.transaction() as transaction:
        transaction.execute(
            "INSERT INTO purchase (id, batch_id, environment, position, generation, idempotency_key, own_key, body,"
            " body_sha256, sent_sha256, mode, currency, total, item_count, account, state, prepared_at)"
            " SELECT 9, batch_id, environment, 9, 0, 'key', own_key, body, body_sha256, sent_sha256, mode, currency,"
            " total, item_count, account, state, prepared_at FROM purchase"
        )
    assert [9] == found(ledger, "anything")
    assert [9] == [*ledger.matching_orders("local", GiftFilter(product="AMZ-US"))]


def test_what_a_search_reads_is_what_the_gifts_hold(ledger: Ledger) -> None:
    batch = record(ledger, 1, orders=2)
    ledger.mark_completed(first(ledger, batch), "O-7", b"{}", [ISSUED, None], exchange=Exchange(), now=NOW)
    ledger.mark_shown(batch, NOW)
    assert [] == differences_in(ledger._engine.stream)
    ledger.prune(batch, check=lambda: None, now=NOW)
    assert ["o-7", ""] == [text_of(ledger, row) for row in (1, 2)]
