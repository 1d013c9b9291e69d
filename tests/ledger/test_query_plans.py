"""No statement of the ledger reads a whole table, so that a ledger with a million orders is as fast as an empty one."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict, replace

from runa_cli.core.identity import GiftIdentity
from runa_cli.core.states import UNSENT, State
from runa_cli.ledger import batches, gift_search, insertion, orders, queries, search_index, writing
from runa_cli.ledger import ledger as ledger_module
from runa_cli.ledger.approvals import Approval
from runa_cli.ledger.audit_queries import AuditQueries
from runa_cli.ledger.balance_notes import BalanceQueries
from runa_cli.ledger.gift_search import EVERY_GIFT, GiftFilter
from runa_cli.ledger.journal import Event
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.orders import Turn
from runa_cli.ledger.records import AdoptedOrder, Batch, Exchange, Order, Placed
from runa_cli.ledger.restoration import Missing, PassedOver
from runa_cli.ledger.spending import Left
from runa_cli.ledger.spent_queries import SpentQueries
from runa_cli.ledger.spool import Answer, Spool
from tests.support.ledgers import allow, gift, new_batch, order
from tests.support.statements import Statements, plan, reads_all

NOW = datetime(2026, 11, 1, tzinfo=UTC)
BATCHES, GIFTS = 60, 200  # of one order each; without ANALYZE, SQLite plans for a large ledger as for this one

# A part of each statement that may read every row of a table or of an environment, and why.
READS_ALL = {
    "SELECT count(*) AS number FROM batch": "the number of batches that a list leaves out",
    "SELECT DISTINCT environment FROM batch": "the three environments, from an index",
    "HAVING max(settled_at)": "prune is about every settled batch, and reads nothing but indexes of it",
    "SELECT id FROM purchase LIMIT 1": "whether there is an order at all",
    "item_count FROM purchase ORDER BY id": "what was there before, for the first event of a journal",
    "ORDER BY id DESC LIMIT 1": "the newest order of an environment; the limit ends it",
    "ORDER BY id DESC LIMIT ?": "a page of the list of all batches; the limit ends it",
}
NOT_USED = {"SELECT changes FROM ledger"}  # which `copy_from` asks of a server, and which has one row
# Methods without a statement of their own.
OPEN_AND_CLOSE = {"close", "claim", "holder", "release", "erase_deleted", "copy_from", "back_up", "id", "check_journal"}
# What only `runa ledger check` calls reads everything once.
CHECKS = {"check_intact", "accounts_used", "newest_replies"}


def record(ledger: Ledger, number: int) -> Batch:
    recorded = ledger.record(new_batch(number), [order(number, gifts=GIFTS)], known=[], check=allow, now=NOW)
    assert recorded is not None
    return recorded


def use_all(ledger: Ledger) -> set[str]:
    """Call every method of the ledger, and return the names of those that were called."""
    called: set[str] = set()

    def use(name: str, *arguments: Any, **options: Any) -> Any:
        called.add(name)
        result = getattr(ledger, name)(*arguments, **options)
        return list(result) if isinstance(result, Iterator) else result

    for number in range(1, BATCHES + 1):
        record(ledger, number)
    batch = record(ledger, 0)
    use("record", new_batch(0), [order(0, gifts=GIFTS)], known=[], check=allow, now=NOW)
    use("add_event", Event("links.read", {}))
    use("shared_time", NOW)
    adopted = AdoptedOrder(
        **{**asdict(order(1000)), "gifts": [gift(1, 1000)]}, state=State.COMPLETED, order_id="O-0", reply=b"{}",
        issued=[{}], created=NOW, settled=NOW,
    )  # fmt: skip
    use("record", new_batch(1000), [adopted], known=[], check=allow, now=NOW)
    _use_order(use, ledger, batch)
    _use_queries(use, ledger, batch)
    content = replace(new_batch(0), columns=["team"])
    placed = [Placed(held.id, held.row, "other", held.carried, "s", "r", "a") for held in ledger.held(batch)]
    facts = dict.fromkeys(("proposal", "gifts", "total", "content"), "")
    proposal = use("propose", batch, facts, ("anna", "host"), NOW)
    use("approve", batch, Approval(proposal.id, "bob", "SHA256:x", "signature", NOW), check=allow)
    use("proposal", batch.id)
    use("approvals", proposal)
    use("signed_by", proposal)
    use("issued_under", batch.id)
    use("content_digest", batch.id)
    use("adopt", batch, ["team"], [replace(adopted, position=9, idempotency_key="key 9", order_id="O-9")], NOW)
    use("relabel", batch, content, placed)
    use("append", batch, ["team"], [order(2000, 7)], check=allow, now=NOW)
    use("amend", batch, content, [order(3000, 8)], placed, check=allow, now=NOW)
    use("mark_abandoned", [*ledger.orders(batch, [State.PREPARED])], NOW)
    use("mark_shown", batch, NOW)
    use("prune", batch, check=allow, now=NOW)
    _use_restoration(use, replace(adopted, idempotency_key="key 10", order_id="O-10"))
    use("pause", "local", 5.0, NOW)
    use("store_policy", "version = 1", "me", NOW)
    return called


def _use_restoration(use: Callable[..., Any], adopted: AdoptedOrder) -> None:
    batch: Batch = use("batch_by_id", 5)
    use("add_read_back", batch, adopted, NOW)
    use("has_read_back", "local")
    use("read_back_batches", "local")
    use("read_back_orders", batch)
    use("read_back_links", "local")
    use("newest_of_account", "local", "xxtests", 1)
    use("begin_check", {"local": Missing()})
    use("close_to", {"local": Missing()}, None)
    use("is_closed", "local", "xxtests")
    use("missing", "local")
    use("unread", "local")
    use("pass_over", "local", "xxtests", [PassedOver("O-1", "unstamped")])
    use("passed_over", "local", "xxtests")
    use("recorded_by_check", "local", "xxtests")
    use("opened", "local")
    use("closed_environments")
    use("open_to", "local", ["xxtests"])


def record_kept_reply(path: Path, replies: Path) -> None:
    """Open the ledger with a reply that an earlier run could not record."""
    with Ledger(path, spool=replies) as ledger:
        order = next(iter(ledger.orders(ledger.batch_by_id(7))))
        answer = Answer(order.id, order.idempotency_key, State.COMPLETED, "O-7", b"{}", [], Exchange(), NOW)
        Spool(replies).keep(ledger._id, answer)
    Ledger(path, spool=replies).close()


def _use_order(use: Callable[..., Any], ledger: Ledger, batch: Batch) -> None:
    (first,) = ledger.orders(batch)
    exchange = Exchange()
    use("mark_sent", first, "xxtests", check=allow, now=NOW, turn=Turn(1, 60))
    use("mark_unsent", first, exchange)
    use("note", first, exchange)
    use("mark_accepted", first, "O-1", b"{}", exchange)
    use("mark_doubted", first)
    use("mark_rejected", first, b"{}", exchange, NOW)
    renewed: Order = use("renew", first, order(0, generation=1, gifts=GIFTS), NOW)
    use("mark_failed", renewed, "O-2", b"{}", exchange, NOW)
    use("mark_completed", renewed, "O-2", b"{}", [{}] * GIFTS, exchange=exchange, now=NOW)


def _use_queries(use: Callable[..., Any], ledger: Ledger, batch: Batch) -> None:
    (own,) = ledger.orders(batch)
    use("batch", "local", "batch 7")
    use("batches_named", "local", "batch 7")
    use("batch_by_id", batch.id)
    for environment in (None, "local"):
        use("batches", environment)
        use("tallied_batches", environment)
        use("count_batches", environment)
    use("unfinished_batches", "local")
    use("all_unfinished")
    use("settled_before", "local", NOW + timedelta(days=1))
    use("batches_with", "local", "f7")
    use("tally", batch)
    use("tally", batch, [own.id])
    use("tallies", [batch.id, batch.id + 1])
    use("order", own.id)
    use("order_by_key", "local", "key 7 1 0")
    use("orders", batch, UNSENT)
    use("has_unfinished", batch)
    use("accounts", batch)
    use("taken", batch)
    use("taken", batch, by_unsent=False)
    use("has_order", "local", "O-2")
    use("is_anothers", own, "O-2")
    use("held", batch)
    use("not_made", batch)
    use("same_gifts", "local", [GiftIdentity(f"s7-{row}", f"r7-{row}", f"a7-{row}") for row in range(1, 400)])
    use("batch_names", "local", 500)
    use("first_items", "local", [f"k7-{row}" for row in range(1, 400)])
    use("referenced", "local", [f"r7-{row}" for row in range(1, 400)])
    use("identities", own)
    use("results", batch)
    use("payout_urls", batch)
    use("results_of", [*range(1, 400)])
    use("states_of", [*range(1, 400)])
    use("order_results", own)
    everything = GiftFilter(("a", "b"), "AMZ-US", frozenset({State.FAILED, State.SENT}), "ACTIVE", NOW, NOW)
    _use_spending(use, batch, own)
    for wanted in (EVERY_GIFT, GiftFilter(words=("a",)), GiftFilter(since=NOW), everything):
        use("matching_orders", "local", wanted)
        use("matching_orders", "local", wanted, up_to=7)
        use("matching_results", batch, wanted)


def _use_spending(use: Callable[..., Any], batch: Batch, own: Order) -> None:
    for since in (None, NOW):
        window = {"environment": "local", "currency": "USD", "since": since}
        use("spent", "local", "USD", since, Left(batch.id, own.id))
        use("spent", "local", "USD", since, by_products=False)
        for kind in ("email", "reference"):
            payees = [f"p7-{row}" for row in range(1, 400)]
            use("spent_for", kind, payees, **window, left_out=Left(batch.id, own.id))
            use("spent_for", kind, payees, **window, batch_id=batch.id, unfinished=True)
            use("highest", kind, **window, products=["AMZ-US"], most=3)
            use("highest", kind, **window, products=None, most=3)
            use("payee_shares", own.id, kind)
            use("gifts_for", own.id, kind, "p7-1")
        use("given_up", "local", "USD", since)
    use("spent_in_batch", batch.id)
    use("shares", own.id)
    use("products", own.id)
    use("has_unknown_cost", own.id)
    use("reservation", own)
    use("unsettled", "local")
    use("stored_policy")
    use("shared_time", NOW)


def test_no_statement_reads_a_whole_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(tmp_path / "ledger.db").close()  # its migrations are not of interest
    statements = Statements(monkeypatch)
    with Ledger(tmp_path / "ledger.db", marks=tmp_path / "marks") as ledger:
        called = use_all(ledger)
    record_kept_reply(tmp_path / "ledger.db", tmp_path / "replies")
    assert _methods() == called
    assert NOT_USED == {text for text in _written() if not any(text in statement for statement in statements.sent)}
    plans = [*statements.plans(tmp_path / "ledger.db")]
    found = {statement: lines for statement, lines in plans if any(map(reads_all, lines))}
    assert {} == {text: lines for text, lines in found.items() if not any(part in text for part in READS_ALL)}
    assert set() == {part for part in READS_ALL if not any(part in statement for statement in found)}


def _methods() -> set[str]:
    """Return the names of the ledger's methods that have statements."""
    elsewhere = (object, SpentQueries, AuditQueries, BalanceQueries)  # whose plans have tests of their own
    own = {name for kind in Ledger.__mro__ if kind not in elsewhere for name in vars(kind)}
    return {name for name in own if not name.startswith("_")} - OPEN_AND_CLOSE - CHECKS


def _written() -> Iterator[str]:
    """Yield the statements that the ledger's modules hold, of those with names of columns put in only the beginning."""
    for module in (ledger_module, batches, orders, insertion, writing, queries, gift_search, search_index):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            text = node.values[0] if isinstance(node, ast.JoinedStr) else node
            if isinstance(text, ast.Constant) and re.match("(SELECT|UPDATE|DELETE|INSERT) .", str(text.value)):
                yield str(text.value)


def test_a_search_for_gifts_reads_nothing_but_what_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of orders and gifts are long, and most of them are not found."""
    statements, plans = Statements(monkeypatch), []
    with Ledger(tmp_path / "ledger.db") as ledger:
        record(ledger, 1)
        for wanted in (GiftFilter(("r1",)), GiftFilter(("r1",), states=frozenset({State.PREPARED}))):
            statements.sent.clear()
            assert [1] == [*ledger.matching_orders("local", wanted)]
            (search,) = (statement for statement in statements.sent if "LIKE" in statement)
            plans.append(plan(tmp_path / "ledger.db", search))
    assert [
        [
            "SEARCH purchase_search USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            "SEARCH purchase USING INTEGER PRIMARY KEY (rowid=?)",
        ],
        [
            "SEARCH purchase USING COVERING INDEX purchase_listed (environment=? AND id>? AND id<?)",
            "SEARCH purchase_search USING INTEGER PRIMARY KEY (rowid=?)",
        ],
    ] == plans


def test_what_is_spent_comes_from_an_index_of_what_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statements = Statements(monkeypatch)
    with Ledger(tmp_path / "ledger.db") as ledger:
        statements.sent.clear()
        ledger.spent("local", "USD", NOW)
    (sums,) = statements.sent
    expected = "SEARCH reserved USING COVERING INDEX reserved_held"
    first = plan(tmp_path / "ledger.db", sums)[0]
    assert f"{expected} (environment=? AND currency=? AND held=? AND reserved_at>?)" == first


def test_totals_of_a_batch_come_from_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of an order holds its body and Runa's reply, and a list of batches must not read those."""
    statements = Statements(monkeypatch)
    with Ledger(tmp_path / "ledger.db") as ledger:
        statements.sent.clear()
        ledger.tallies([1, 2])
    (counts,) = (statement for statement in statements.sent if "count(*)" in statement)
    expected = "SEARCH purchase USING COVERING INDEX purchase_counts (batch_id=? AND superseded=?)"
    assert expected in plan(tmp_path / "ledger.db", counts)
