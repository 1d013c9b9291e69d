"""What is held of the money follows the state of each order, whatever changes it, on every engine."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import asdict

from runa_cli.core.errors import GuardRefused, LedgerUnusable
from runa_cli.core.identity import payee
from runa_cli.core.states import State
from runa_cli.ledger.copying import Content
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.postgres_init import initialise
from runa_cli.ledger.postgres_policy import store_policy
from runa_cli.ledger.postgres_schema import MIGRATIONS
from runa_cli.ledger.records import NOTHING, AdoptedOrder, Batch, Order
from runa_cli.ledger.spending import Left, Share
from tests.support.ledgers import allow, new_batch, order
from tests.support.postgres import Database, Server

pytestmark = pytest.mark.file_ledger("it has one of its own")
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def record(ledger: Ledger, number: int = 1) -> tuple[Batch, Order]:
    """Record an order of 10 USD, and claim its batch."""
    batch = ledger.record(new_batch(number), [order(number)], known=[], check=allow, now=NOW)
    assert batch is not None
    assert ledger.claim(batch)
    return batch, next(ledger.orders(batch))


def held(ledger: Ledger) -> int:
    return sum(share.amount for share in ledger.spent("local", "USD", None))


def sent(ledger: Ledger, recorded: Order) -> Order:
    return ledger.mark_sent(recorded, "xxtests", check=allow, now=NOW)


def test_an_order_is_held_from_its_record_to_its_end(ledger: Ledger) -> None:
    _, recorded = record(ledger)
    seen = [held(ledger)]
    on_the_way = sent(ledger, recorded)
    seen.append(held(ledger))
    ledger.mark_accepted(on_the_way, "O-1", b"{}", NOTHING)
    seen.append(held(ledger))
    ledger.mark_completed(on_the_way, "O-1", b"{}", [{}, {}], exchange=NOTHING, now=NOW)
    assert [1000, 1000, 1000, 1000] == [*seen, held(ledger)]


def test_what_failed_is_given_back_and_held_again_once_runa_calls_it_completed(ledger: Ledger) -> None:
    _, recorded = record(ledger)
    on_the_way = sent(ledger, recorded)
    failed = ledger.mark_failed(on_the_way, "O-1", b"{}", NOTHING, NOW)
    assert 0 == held(ledger)
    ledger.mark_completed(failed, "O-1", b"{}", [{}, {}], exchange=NOTHING, now=NOW)
    assert 1000 == held(ledger)


def test_what_was_rejected_is_given_back_and_held_once_when_it_is_renewed(ledger: Ledger) -> None:
    _, recorded = record(ledger)
    rejected = ledger.mark_rejected(sent(ledger, recorded), b"{}", NOTHING, NOW)
    assert 0 == held(ledger)
    ledger.renew(rejected, order(1, generation=1), NOW)
    assert 1000 == held(ledger)


def test_what_is_abandoned_is_given_back_and_an_answer_that_comes_later_holds_it_again(ledger: Ledger) -> None:
    _, recorded = record(ledger)
    on_the_way = sent(ledger, recorded)
    ledger.mark_abandoned([on_the_way], NOW)
    assert (0, 1000) == (held(ledger), ledger.given_up("local", "USD", None))
    ledger.mark_completed(on_the_way, "O-1", b"{}", [{}, {}], exchange=NOTHING, now=NOW)
    assert (1000, 0) == (held(ledger), ledger.given_up("local", "USD", None))


def test_an_edited_batch_holds_what_it_holds_now(ledger: Ledger) -> None:
    batch, _ = record(ledger)
    ledger.amend(batch, new_batch(1), [order(1, 2), order(1, 3)], [], check=allow, now=NOW)
    assert 2000 == held(ledger)


def test_a_check_that_refuses_holds_nothing(ledger: Ledger) -> None:
    def refuse() -> None:
        raise GuardRefused("over the limit")

    with pytest.raises(GuardRefused):
        ledger.record(new_batch(1), [order(1)], known=[], check=refuse, now=NOW)
    assert 0 == held(ledger)


def test_adopted_orders_count_from_when_they_were_created(ledger: Ledger) -> None:
    adopted = AdoptedOrder(
        **asdict(order(1)), state=State.COMPLETED, order_id="O-1", reply=b"{}", issued=[None, None],
        created=NOW - timedelta(days=60), settled=NOW,
    )  # fmt: skip
    ledger.record(new_batch(1), [adopted], known=[], check=allow, now=NOW)
    assert ([], 1000) == (ledger.spent("local", "USD", NOW - timedelta(days=59)), held(ledger))


def test_orders_that_are_asked_for_again_are_left_out(ledger: Ledger) -> None:
    batch, recorded = record(ledger)
    record(ledger, 2)
    assert [1000, 1000, 2000] == [
        sum(share.amount for share in ledger.spent("local", "USD", None, left_out))
        for left_out in (Left(batch=batch.id), Left(order=recorded.id), Left())
    ]
    window = {"environment": "local", "currency": "USD", "since": None}
    for left_out, expected in [(Left(batch=batch.id), {}), (Left(), {"p1-1": [Share("USD", "AMZ-US", 500)]})]:
        assert expected == ledger.spent_for("email", ["p1-1"], **window, left_out=left_out)  # type: ignore[arg-type]  # they fit


def test_what_is_paid_in_another_environment_or_currency_does_not_count(ledger: Ledger) -> None:
    record(ledger)
    assert ([], []) == (ledger.spent("live", "USD", None), ledger.spent("local", "EUR", None))


def test_a_converted_gift_counts_with_what_runa_charged(ledger: Ledger) -> None:
    single = order(1, gifts=1)
    batch = ledger.record(new_batch(1), [single], known=[], check=allow, now=NOW)
    assert batch is not None
    assert ledger.claim(batch)
    on_the_way = sent(ledger, next(ledger.orders(batch)))
    reply = b'{"currency":"JPY","total_price":"1530.00","total_discount":"0.00","items":[{"currency":"USD"}]}'
    ledger.mark_completed(on_the_way, "O-1", reply, [{}], exchange=NOTHING, now=NOW)
    assert (0, [Share("JPY", "AMZ-US", 1530)]) == (held(ledger), ledger.spent("local", "JPY", None))


# --- on a server -----------------------------------------------------------------------------------------------------


def test_a_ledger_on_a_server_of_the_version_before_is_brought_along(postgres: Server) -> None:
    database = postgres.database()
    empty = database.run("SELECT current_database()")[0][0] + "_old"
    database.run(f"CREATE DATABASE {empty}")
    old = Database(f"{database.url.rpartition('/')[0]}/{empty}", empty)
    with psycopg.connect(old.url, autocommit=True) as connection:
        connection.execute(MIGRATIONS[0].script)
        connection.execute("UPDATE ledger SET version = 1")
    old.run(
        "INSERT INTO batch (environment, name, name_key, named, source, shape, fingerprint, account, columns,"
        " created_at) VALUES ('live', 'b', 'b', 1, 'file', 'list', 'f', 'a', '[]', '2026')"
    )
    for number, state in enumerate(["completed", "rejected", "sent"], 1):
        old.run(
            "INSERT INTO purchase (batch_id, environment, position, generation, idempotency_key, own_key, body,"
            " body_sha256, sent_sha256, mode, currency, total, item_count, account, state, prepared_at)"
            " VALUES (1, 'live', %s, 0, %s, 0, %s, '', '', 'sync', 'USD', '10.50', 1, 'a', %s, '2026-01-01T00:00Z')",
            number, str(number), b'{"payment_method":{"type":"ACCOUNT_BALANCE","currency":"USD"},"items":[]}', state,
        )  # fmt: skip
        old.run(
            "INSERT INTO gift (purchase_id, slot, row, carried, identity, reference_key, item)"
            " VALUES (%s, 0, 1, '[]', '', '', %s)",
            number,
            '{"face_value":10.50,"distribution_method":{"type":"EMAIL","email_address":"Fred@example.com"},'
            '"products":{"type":"SINGLE","value":"AMZ-US"}}',
        )
    initialise(old.address)
    with Ledger(old.address) as ledger:
        who = payee({"distribution_method": {"email_address": "fred@example.com"}}, None, ()).by_email
        window = {"environment": "live", "currency": "USD", "since": None}
        assert [Share("USD", "AMZ-US", 2100)] == ledger.spent("live", "USD", None)
        assert {who: [Share("USD", "AMZ-US", 2100)]} == ledger.spent_for("email", [who], **window)  # type: ignore[arg-type]  # they fit


def test_who_issues_may_not_write_the_policy_and_who_writes_it_may_not_issue(
    postgres: Server, database: Database
) -> None:
    for role, right in (("issuer", "SELECT"), ("controller", "SELECT, INSERT, UPDATE, DELETE")):
        name = f"{role}_of_{database.name}"
        postgres.run(f"CREATE ROLE {name} LOGIN PASSWORD '{postgres.password}'")
        database.run(f"GRANT {right} ON policy TO {name}")
    addresses = [
        Database(postgres.url(database.name, user=f"{role}_of_{database.name}"), "").address
        for role in ("issuer", "controller")
    ]
    with pytest.raises(LedgerUnusable, match="this role may not set the policy"):
        store_policy(addresses[0], "version = 1", "me", NOW)
    store_policy(addresses[1], "version = 1", "me", NOW)
    store_policy(addresses[1], "version = 2", "me", NOW)
    with Ledger(database.address) as ledger:
        assert "version = 2" == ledger.stored_policy()


def test_a_copy_holds_the_same_and_the_policy_too(tmp_path: Path, database: Database) -> None:
    def quiet(*_: object) -> None:
        """Say nothing."""

    with Ledger(tmp_path / "ledger.db") as source, Ledger(database.address) as target:
        record(source)
        source.store_policy("version = 1", "me", NOW)
        copied: Content = target.copy_from(source, quiet)
        assert (1, 1) == (copied.rows["reserved"], copied.rows["policy"])
        assert (1000, "version = 1") == (held(target), target.stored_policy())


def test_who_is_paid_is_recorded_for_a_file_too(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        _, recorded = record(ledger)
        assert {"p1-1": [Share("USD", "AMZ-US", 500)], "p1-2": [Share("USD", "AMZ-US", 500)]} == ledger.payee_shares(
            recorded.id, "email"
        )
