"""An audit reads the orders that it compares by their ids, however many others there are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Exchange
from tests.support.ledgers import new_batch, order
from tests.support.statements import Statements, reads_all

NOW = datetime(2026, 11, 1, tzinfo=UTC)
# Of orders first sent within a time: an index that holds nothing but state and times, page by page.
_BY_TIME = "USING COVERING INDEX purchase_listed (environment=? AND id>?)"


def test_an_audit_reads_nothing_long_but_what_it_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statements = Statements(monkeypatch)
    with Ledger(tmp_path / "ledger.db") as ledger:
        for number in range(1, 30):
            batch = ledger.record(new_batch(number), [order(number)], known=[], check=lambda: None, now=NOW)
            assert batch is not None
            ledger.claim(batch)
            (one,) = ledger.orders(batch)
            sent = ledger.mark_sent(one, "xxtests", check=lambda: None, now=NOW)
            ledger.mark_completed(sent, f"O-{number}", b"{}", [{}, {}], exchange=Exchange(), now=NOW)
        statements.sent.clear()
        found = ledger.audited_by_order_id("local", ["O-1", "O-2", "O-99"])
        assert {"O-1", "O-2"} == found.keys()
        assert found["O-1"] == ledger.audited_by_key("local", found["O-1"].key) == ledger.audited_again(found["O-1"])
        day = timedelta(days=1)
        assert 28 == len([*ledger.audited_between("local", NOW - day, NOW + day, except_for={found["O-1"].id})])
        assert [] == [*ledger.audited_between("local", NOW + day, NOW + 2 * day, except_for=())]
    plans = [line for _, lines in statements.plans(tmp_path / "ledger.db") for line in lines]
    assert [] == [line for line in plans if reads_all(line) and _BY_TIME not in line]
    assert any(_BY_TIME in line for line in plans)
    assert any("INDEX purchase_by_order (order_id=?)" in line for line in plans)
