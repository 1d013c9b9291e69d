"""What gifts cost is added up exactly, in a ledger of either kind, and from what is short to read."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runa_cli.core.identity import address_key
from runa_cli.core.units import units_text
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.postgres_init import initialise
from runa_cli.ledger.records import Batch, Exchange, Gift, NewOrder, Order
from runa_cli.ledger.spent_queries import KEYS, PERSONS, PersonSum, Scope, SpentSum
from tests.support.ledgers import allow, make_older, make_server_older, new_batch, order
from tests.support.postgres import Database
from tests.support.statements import Statements, reads_all

pytestmark = pytest.mark.file_ledger("it has one of its own")

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LOCAL = Scope("local")


def item(value: str, address: str | None = None, product: str = "AMZ-US") -> str:
    method = {"type": "EMAIL", "email_address": address} if address else {"type": "PAYOUT_LINK"}
    products = json.dumps({"type": "SINGLE", "value": product})
    return f'{{"face_value":{value},"distribution_method":{json.dumps(method)},"products":{products}}}'


def sent(ledger: Ledger, number: int, items: list[str], currency: str = "USD", when: datetime = NOW) -> Order:
    """Record a batch of one order with these items, and mark it as sent."""
    gifts = [Gift(row, None, [], f"i{number}-{row}", f"s{number}-{row}", "", text) for row, text in enumerate(items, 1)]
    total = sum((json.loads(text, parse_float=Decimal, parse_int=Decimal)["face_value"] for text in items), Decimal(0))
    new: NewOrder = replace(order(number), gifts=gifts, item_count=len(items), currency=currency, total=str(total))
    batch = ledger.record(new_batch(number), [new], known=[], check=allow, now=when)
    assert isinstance(batch, Batch)
    ledger.claim(batch)
    (recorded,) = ledger.orders(batch)
    return ledger.mark_sent(recorded, "xxtests", check=allow, now=when)


def complete(ledger: Ledger, done: Order, prices: list[str], **reply: object) -> Order:
    """Record Runa's reply, with the price of each item."""
    body = json.dumps({"id": f"O-{done.id}", "status": "COMPLETED", **reply}).encode()
    issued: list[dict[str, Any]] = [{"id": f"E-{done.id}-{row}", "price": price} for row, price in enumerate(prices)]
    return ledger.mark_completed(done, f"O-{done.id}", body, issued, exchange=Exchange(), now=NOW)


def only(ledger: Ledger, by: str = "currency", scope: Scope = LOCAL) -> SpentSum:
    (found,) = ledger.spent_sums(by, scope)
    return found


def shown(found: SpentSum) -> tuple[int, str, str, str]:
    """Return gifts, face value, charge and its currency, as a report shows them."""
    return (
        found.gifts,
        units_text(found.face, found.currency),
        units_text(found.charged, found.charged_in),
        found.charged_in,
    )


def test_tenths_of_a_cent_are_not_lost_in_a_thousand_gifts(ledger: Ledger) -> None:
    """Floats would make 99.99999999999859 of them."""
    complete(ledger, sent(ledger, 1, [item("0.10")] * 1000), ["0.10"] * 1000, total_price="100.00", currency="USD")
    assert (1000, "100.00", "100.00", "USD") == shown(only(ledger))


@pytest.mark.parametrize(
    ("currency", "value", "price", "expected"),
    [("JPY", "5500", "5478", ("5500", "5478")), ("KWD", "1.500", "1.485", ("1.500", "1.485")),
     ("USD", "25.00", "24.63", ("25.00", "24.63"))],
)  # fmt: skip
def test_amounts_have_the_decimals_of_their_currency(
    ledger: Ledger, currency: str, value: str, price: str, expected: tuple[str, str]
) -> None:
    done = sent(ledger, 1, [item(value)], currency)
    complete(ledger, done, [price], total_price=price, currency=currency)
    assert (1, *expected, currency) == shown(only(ledger))


def test_fees_of_an_order_are_divided_among_its_gifts(ledger: Ledger) -> None:
    """What is charged for each product adds up to what is charged for the order."""
    done = sent(ledger, 1, [item("10"), item("20", product="1800FL-US"), item("30")])
    complete(ledger, done, ["10.00", "20.00", "30.00"], total_price="60.50", currency="USD")
    by_product = {found.key: shown(found) for found in ledger.spent_sums("product", LOCAL)}
    assert {"AMZ-US": (2, "40.00", "40.33", "USD"), "1800FL-US": (1, "20.00", "20.17", "USD")} == by_product
    assert (3, "60.00", "60.50", "USD") == shown(only(ledger))


def test_a_conversion_is_charged_in_the_currency_that_paid(ledger: Ledger) -> None:
    complete(ledger, sent(ledger, 1, [item("100")], "AED"), ["100.00"], total_price="27.75", currency="USD")
    assert (1, "100.00", "27.75", "USD") == shown(only(ledger))
    assert "AED" == only(ledger).currency


def test_currencies_are_never_added_up(ledger: Ledger) -> None:
    complete(ledger, sent(ledger, 1, [item("10")]), ["10.00"], total_price="10.00", currency="USD")
    complete(ledger, sent(ledger, 2, [item("10")], "EUR"), ["10.00"], total_price="10.00", currency="EUR")
    assert ["EUR", "USD"] == sorted(found.currency for found in ledger.spent_sums("product", LOCAL))


def test_a_reply_without_a_price_leaves_the_charge_unknown(ledger: Ledger) -> None:
    done = sent(ledger, 1, [item("10")])
    ledger.mark_completed(done, "O-1", b"{}", [{}], exchange=Exchange(), now=NOW)
    found = only(ledger)
    assert (1, 1, 0, "10.00") == (
        found.gifts, found.unpriced_gifts, found.charged, units_text(found.unpriced_face, "USD"),
    )  # fmt: skip


def test_only_what_was_issued_or_may_have_been_counts(ledger: Ledger) -> None:
    """A rejected or failed order cost nothing, and one that was never sent neither."""
    ledger.mark_rejected(sent(ledger, 1, [item("1")]), b"{}", Exchange(), NOW)
    ledger.mark_failed(sent(ledger, 2, [item("2")]), "O-2", b"{}", Exchange(), NOW)
    ledger.record(new_batch(3), [order(3)], known=[], check=allow, now=NOW)
    sent(ledger, 4, [item("4")])
    ledger.mark_accepted(sent(ledger, 5, [item("5")]), "O-5", b"{}", Exchange())
    ledger.mark_abandoned([sent(ledger, 6, [item("6")])], NOW)
    found = [(each.gifts, each.unknown_gifts, units_text(each.unknown_face, "USD")) for each in _added(ledger)]
    assert [(0, 3, "15.00")] == found


def _added(ledger: Ledger) -> Iterator[SpentSum]:
    parts = [*ledger.spent_sums("currency", LOCAL)]
    yield parts[0]._replace(
        gifts=sum(each.gifts for each in parts),
        unknown_gifts=sum(each.unknown_gifts for each in parts),
        unknown_face=sum(each.unknown_face for each in parts),
    )


@pytest.mark.parametrize("answer", ["completed", "failed", "accepted"])
def test_an_answer_that_comes_after_an_order_was_given_up_takes_its_place(ledger: Ledger, answer: str) -> None:
    done = sent(ledger, 1, [item("10")])
    ledger.mark_abandoned([done], NOW)
    answers: dict[str, Callable[[], object]] = {
        "completed": lambda: complete(ledger, done, ["10.00"], total_price="10.00", currency="USD"),
        "failed": lambda: ledger.mark_failed(done, "O-1", b"{}", Exchange(), NOW),
        "accepted": lambda: ledger.mark_accepted(done, "O-1", b"{}", Exchange()),
    }
    answers[answer]()
    counted = {"completed": [(1, 0)], "failed": [], "accepted": [(0, 1)]}
    assert counted[answer] == [(each.gifts, each.unknown_gifts) for each in ledger.spent_sums("currency", LOCAL)]


def test_an_answer_that_is_recorded_twice_counts_once(ledger: Ledger) -> None:
    done = sent(ledger, 1, [item("10")])
    for _ in range(2):
        complete(ledger, done, ["10.00"], total_price="10.00", currency="USD")
    assert (1, "10.00", "10.00", "USD") == shown(only(ledger))


def test_a_gift_counts_when_runa_made_its_order(ledger: Ledger) -> None:
    made = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    done = sent(ledger, 1, [item("10")])
    complete(ledger, done, ["10.00"], total_price="10.00", currency="USD", created_at=made.isoformat())
    after = made + timedelta(microseconds=1)
    assert [1, 0, 0, 1] == [
        len([*ledger.spent_sums("currency", scope)])
        for scope in (
            Scope("local", made, after), Scope("local", after), Scope("local", until=made), Scope("local", until=after),
        )
    ]  # fmt: skip


def test_an_environment_counts_alone(ledger: Ledger) -> None:
    complete(ledger, sent(ledger, 1, [item("10")]), ["10.00"], total_price="10.00", currency="USD")
    assert [] == [*ledger.spent_sums("currency", Scope("live"))]


def test_a_person_is_the_same_however_the_address_is_written(ledger: Ledger) -> None:
    items = [item("10", "Ann@Example.com"), item("20.05", "ann@example.COM"), item("5", "bob@example.com"), item("1")]
    complete(ledger, sent(ledger, 1, items), ["1"] * 4, total_price="4.00", currency="USD")
    found = [(each.key, each.gifts, units_text(each.face, "USD")) for each in ledger.person_sums("email", LOCAL)]
    ann, bob = address_key("ann@example.com"), address_key("bob@example.com")
    assert [(ann, 2, "30.05"), (bob, 1, "5.00"), ("", 1, "1.00")] == found


def test_persons_below_a_sum_are_left_out(ledger: Ledger) -> None:
    items = [item("10", "ann@example.com"), item("9.99", "bob@example.com")]
    complete(ledger, sent(ledger, 1, items), ["1"] * 2, total_price="2.00", currency="USD")
    (found,) = ledger.person_sums("email", LOCAL, least=100_000)
    assert address_key("ann@example.com") == found.key


def test_a_pruned_gift_still_counts_for_its_person_without_the_address(ledger: Ledger) -> None:
    done = sent(ledger, 1, [item("10", "ann@example.com")])
    complete(ledger, done, ["9.87"], total_price="9.87", currency="USD")
    ledger.prune(ledger.batch_by_id(done.batch_id), check=allow, now=NOW)
    (person,) = ledger.person_sums("email", LOCAL)
    assert PersonSum(address_key("ann@example.com"), "USD", 1, 100_000) == person
    assert (1, "10.00", "9.87", "USD") == shown(only(ledger, "product"))
    assert "AMZ-US" == only(ledger, "product").key


def test_an_order_that_is_given_up_and_pruned_may_still_have_cost_its_value(ledger: Ledger) -> None:
    done = sent(ledger, 1, [item("10", "ann@example.com")])
    ledger.mark_abandoned([done], NOW)
    ledger.prune(ledger.batch_by_id(done.batch_id), check=allow, now=NOW)
    (person,) = ledger.person_sums("email", LOCAL)
    assert (address_key("ann@example.com"), 0, 1, 100_000) == (
        person.key, person.gifts, person.unknown_gifts, person.unknown_face,
    )  # fmt: skip


def test_the_texts_of_a_batch_are_noted_with_it_and_not_order_by_order(tmp_path: Path) -> None:
    """In a large ledger each digest lies in another page of the index, which every order would write anew."""
    with Ledger(tmp_path / "ledger.db") as ledger:

        def noted() -> set[str]:
            return {row["text"] for row in ledger._engine.select("SELECT text FROM spent_term")}

        done = sent(ledger, 1, [item("10.00", "ann@example.com"), item("10.00", "bob@example.com")])
        before = noted()
        complete(ledger, done, ["10.00", "10.00"])
        assert {address_key("ann@example.com"), address_key("bob@example.com"), "AMZ-US"} <= before
        assert not {text for text in noted() - before if len(text) == len(address_key("ann@example.com"))}


@pytest.mark.parametrize("half", [b"\xed\xa0\x80", b"\\ud800"])
@pytest.mark.parametrize("member", ["total_price", "created_at", "currency", "note"])
def test_half_a_character_in_a_reply_keeps_nothing_from_being_recorded(
    ledger: Ledger, member: str, half: bytes
) -> None:
    """A gift is paid for by then."""
    members = {"total_price": b"10.00", "created_at": b"", "currency": b"USD", member: half}
    texts = b",".join(b'"%b":"%b"' % (name.encode(), value) for name, value in members.items())
    body = b'{"id":"O-1",%b,"items":[{"id":"E-1","currency":"USD"}]}' % texts
    done = sent(ledger, 1, [item("10.00", "ann@example.com")])
    issued = [{"id": "E-1", "price": "10.00"}]
    assert "completed" == ledger.mark_completed(done, "O-1", body, issued, exchange=Exchange(), now=NOW).state
    assert (1, 100_000) == (only(ledger).gifts, only(ledger).face)


@pytest.mark.parametrize("value", ["10.00", '"10.00"', "1e1"])
def test_a_face_value_counts_however_it_is_written(ledger: Ledger, value: str) -> None:
    """Runa takes and documents amounts both as numbers and as text."""
    text = item("1", "half a character: \ud83d").replace('"face_value":1', f'"face_value":{value}')
    recorded = replace(order(1), gifts=[Gift(1, None, [], "i", "s", "", text)], item_count=1, total="10.00")
    batch = ledger.record(new_batch(1), [recorded], known=[], check=allow, now=NOW)
    assert isinstance(batch, Batch)
    ledger.claim(batch)
    (made,) = ledger.orders(batch)
    complete(ledger, ledger.mark_sent(made, "xxtests", check=allow, now=NOW), ["10.00"])
    assert 100_000 == only(ledger).face


def test_an_older_ledger_learns_what_its_gifts_cost(tmp_path: Path) -> None:
    """Of an order that it had pruned, the sum is known, and neither person nor price."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as older:
        complete(older, sent(older, 1, [item("10", "ann@example.com")]), ["9.87"], total_price="9.87", currency="USD")
        pruned = sent(older, 2, [item("10", "bob@example.com"), item("15.01")])
        complete(older, pruned, ["1", "2"], total_price="3.00", currency="USD")
        older.prune(older.batch_by_id(pruned.batch_id), check=allow, now=NOW)
    make_older(path, 11)
    with Ledger(path) as newer:
        found = only(newer)
        assert (3, "35.01", "9.87", "USD") == shown(found)
        assert (2, "25.01") == (found.unpriced_gifts, units_text(found.unpriced_face, "USD"))
        assert [("", 2), (address_key("ann@example.com"), 1)] == [
            (each.key, each.gifts) for each in newer.person_sums("email", LOCAL)
        ]


@pytest.mark.parametrize(("orders", "says"), [(2, True), (3, False)])
def test_that_a_large_ledger_takes_long_to_be_brought_up_to_date_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orders: int, *, says: bool
) -> None:
    monkeypatch.setattr("runa_cli.ledger.sqlite_file.MANY_ORDERS", orders)
    path, said = tmp_path / "ledger.db", list[str]()
    with Ledger(path, say=said.append) as older:
        for number in (1, 2):
            sent(older, number, [item("10", "ann@example.com")])
    make_older(path, 11)
    for _ in range(2):
        Ledger(path, say=said.append).close()
    assert [True] * says == ["With about 2 orders that may take some minutes" in line for line in said]


def test_an_older_ledger_on_a_server_learns_it_from_init(database: Database) -> None:
    with Ledger(database.address) as older:
        complete(older, sent(older, 1, [item("10", "ann@example.com")]), ["9.87"], total_price="9.87", currency="USD")
        sender = only(older, "user").key
    database.run("UPDATE batch SET \"system_user\" = 'ann', host = 'desk'")
    make_server_older(database.url, 1)
    initialise(database.address)
    with Ledger(database.address) as newer:
        assert (1, "10.00", "9.87", "USD") == shown(only(newer))
        assert ("ann@desk", True) == (only(newer, "user").key, sender != "ann@desk")


def test_reports_read_nothing_but_the_short_rows_of_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of orders and gifts are long, and most of them are of other years."""
    path, scope = tmp_path / "ledger.db", Scope("local", NOW, NOW + timedelta(days=1))
    statements = Statements(monkeypatch)
    with Ledger(path) as ledger:
        complete(ledger, sent(ledger, 1, [item("10", "ann@example.com")]), ["10"], total_price="10.00", currency="USD")
        statements.sent.clear()
        for by in KEYS:
            assert [*ledger.spent_sums(by, scope)]
        for by in PERSONS:
            assert [*ledger.person_sums(by, scope)]
            assert [] == [*ledger.unsettled_person_sums(by, scope)]
    found = [(statement, line) for statement, lines in statements.plans(path) for line in lines]
    of_time = "SEARCH spent USING PRIMARY KEY (environment=? AND spent_at>? AND spent_at<?)"
    assert len(KEYS) + len(PERSONS) == sum(line == of_time for _, line in found)
    assert {"SCAN purchase USING INDEX purchase_unfinished"} == {line for _, line in found if line.startswith("SCAN")}
    assert [] == [(statement, line) for statement, line in found if reads_all(line)]
