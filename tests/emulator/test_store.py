"""The file: private, migrated, used by several and gone when reset."""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from runa_cli.emulator import store as store_module
from runa_cli.emulator.account import Account
from runa_cli.emulator.store import InUse, Store, reset
from tests.emulator.calls import Caller, order, parsed


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "emulator.db")
    Caller(Account(store)).post(order())
    assert {0o600} == {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    store.close()


def test_orders_keys_and_balances_survive_a_restart(tmp_path: Path) -> None:
    first = Store(tmp_path / "emulator.db")
    made = Caller(Account(first)).post(order())
    first.close()
    second = Store(tmp_path / "emulator.db")
    caller = Caller(Account(second))
    assert made.body == caller.post(order()).body
    assert parsed(made) == caller.get(f"/order/{parsed(made)['id']}")
    assert caller.get("/balance?currency=USD")["balance"] == "999990.00"
    second.close()


def test_what_an_older_program_spent_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(store_module, "_MIGRATIONS", store_module._MIGRATIONS[:2])
        first = Store(tmp_path / "emulator.db")
        first.set_balance("USD", Decimal("999990.00"))
        first.close()
    second = Store(tmp_path / "emulator.db")
    assert {"USD": Decimal("10.00")} == second.spent()
    second.close()


def test_reset_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    first = Store(path)
    Caller(Account(first)).post(order())
    first.close()
    reset(path)
    assert [path.name for path in tmp_path.iterdir()] == ["emulator.db-in-use"]
    second = Store(path)
    assert second.orders(10) == []
    second.close()


def test_what_an_emulator_works_with_is_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    used = Store(path)
    with pytest.raises(InUse):
        reset(path)
    assert path.exists()
    used.close()
    reset(path)
    assert not path.exists()


def test_reset_of_nothing_is_fine(tmp_path: Path) -> None:
    reset(tmp_path / "emulator.db")


def test_data_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="99"):
        Store(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    path.write_text("something else entirely, and long enough to be looked at")
    with pytest.raises(sqlite3.DatabaseError):
        Store(path)


def test_every_commit_reaches_the_disk(store: Store) -> None:
    rows = [store._one(f"PRAGMA {name}") for name in ("journal_mode", "synchronous")]
    assert rows == [("wal",), (2,)]
