"""A ledger is backed up while it is in use, and copied whole to another engine and back."""

import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.core.errors import LedgerUnusable
from runa_cli.ledger.copying import COLUMNS
from runa_cli.ledger.ledger import Ledger
from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.ledgers import new_batch, order
from tests.support.postgres import Database, Server
from tests.support.program import GIFT, Program, links_at, posts

pytestmark = pytest.mark.file_ledger("it has one of its own")


@pytest.fixture
def issued(program: Program, emulate: Emulate) -> Program:
    """Return a program that has issued a batch of three gifts, and left another one unfinished."""
    emulate(processing_seconds=0)
    path = sheet(program.home / "gifts.csv", gifts(3))
    assert 0 == program("order", "create", "--file", str(path), "--batch", "bonus").code
    program.killed_at("call:Client.create_order", *GIFT, "--batch", "lost")
    return program


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        return {name for (name,) in found}


def columns_of(path: Path, table: str) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        return {name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")}


def test_every_column_is_copied(tmp_path: Path, database: Database) -> None:
    Ledger(tmp_path / "ledger.db").close()
    not_copied = {"ledger", "sending", "quiet", "passed_over"}  # its id is, and the rest is of a moment
    assert tables_of(tmp_path / "ledger.db") == {*COLUMNS} | not_copied
    for table, columns in COLUMNS.items():
        assert columns_of(tmp_path / "ledger.db", table) == set(columns)
        rows = database.run("SELECT column_name::text FROM information_schema.columns WHERE table_name = %s", table)
        assert {name for (name,) in rows} == set(columns)


def test_a_ledger_moves_to_a_server_and_back_with_all_it_knows(
    program: Program, emulate: Emulate, database: Database
) -> None:
    emulator = emulate(processing_seconds=0)
    path = sheet(program.home / "gifts.csv", gifts(3))
    create = ("order", "create", "--file", str(path), "--batch", "bonus", "-o", "links")
    links = program(*create).out
    program.killed_at("return:Client.create_order", *GIFT, "--batch", "lost")
    copied = program("ledger", "copy", "--from", str(program.ledger), "--json", RUNA_LEDGER=database.url)
    assert 0 == copied.code, copied.err
    assert (2, 2, 4) == tuple(copied.json[name] for name in ("batches", "orders", "gifts"))
    server = {"RUNA_LEDGER": database.url}
    again = program(*create, **server)
    assert (0, links) == (again.code, again.out)
    assert 0 == program("batch", "resume", "lost", **server).code
    assert 0 == program(*GIFT, "--batch", "new", "--again", **server).code
    back = {"RUNA_LEDGER": str(program.home / "back.db")}
    assert 0 == program("ledger", "copy", "--from", database.url, **back).code
    assert 0 == program(*create, **back).code
    shown = {line for name in ("bonus", "lost", "new") for line in
             program("batch", "export", name, "-o", "links", **back).out.split()}  # fmt: skip
    assert links_at(emulator) == shown
    old = program(*GIFT, "--batch", "third", "--again", "--json")
    assert (4, "ledger_went_backwards") == (old.code, old.error["code"])
    old = program(*GIFT, "--batch", "third", "--again", "--json", **server)
    assert (4, "ledger_went_backwards") == (old.code, old.error["code"])


def test_a_ledger_is_copied_into_an_empty_one_alone(issued: Program, database: Database) -> None:
    """What the other one holds would be recorded twice, or lost."""
    server = {"RUNA_LEDGER": database.url}
    assert 0 == issued(*GIFT, "--batch", "held", **server).code
    refused = issued("ledger", "copy", "--from", str(issued.ledger), "--json", **server)
    assert (4, "ledger_unusable") == (refused.code, refused.error["code"])
    assert "holds 1 batch already. Nothing was copied." in refused.error["message"]
    assert ["held"] == [entry["batch"] for entry in issued("batch", "list", "--json", **server).json]
    assert 2 == len(issued("batch", "list", "--json").json)  # and the source is as it was


def test_nothing_is_copied_while_a_batch_is_worked_on(issued: Program, database: Database) -> None:
    with Ledger(issued.ledger) as ledger:
        (unfinished,) = ledger.all_unfinished()
        assert ledger.claim(unfinished)
        busy = issued("ledger", "copy", "--from", str(issued.ledger), "--json", RUNA_LEDGER=database.url)
    assert (75, "batch_busy") == (busy.code, busy.error["code"])
    assert [(0,)] == database.run("SELECT count(*) FROM batch")


def test_a_copy_that_holds_something_else_is_undone(tmp_path: Path, database: Database) -> None:
    """Here a trigger of the target's changes an amount."""
    database.run("CREATE FUNCTION f() RETURNS trigger AS $$BEGIN NEW.total = '1'; RETURN NEW; END$$ LANGUAGE plpgsql")
    database.run("CREATE TRIGGER t BEFORE INSERT ON purchase FOR EACH ROW EXECUTE FUNCTION f()")
    with Ledger(tmp_path / "ledger.db") as source, Ledger(database.address) as target:
        source.record(new_batch(1), [order(1)], known=[], check=lambda: None, now=datetime.now(UTC))
        with pytest.raises(LedgerUnusable, match="holds something else"):
            target.copy_from(source, lambda *_: None)
    assert [(0,)] == database.run("SELECT count(*) FROM batch")


@pytest.mark.parametrize("source", ["gone.db", "mysql://localhost/x", ""])
def test_a_source_that_is_none_is_wrong_usage_and_makes_no_file(program: Program, source: str) -> None:
    ran = program("ledger", "copy", "--from", source, "--json", RUNA_ENV="local")
    assert (2, "usage") == (ran.code, ran.error["code"])
    assert not program.ledger.exists()


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_backup_is_a_private_ledger_with_all_that_is_recorded_and_no_newer_than_it(
    program: Program, emulate: Emulate, postgres: Server, engine: str
) -> None:
    emulator = emulate(processing_seconds=0)
    if engine == "postgres":
        program.env["RUNA_LEDGER"] = postgres.database().url
    assert 0 == program(*GIFT, "--batch", "first").code
    backup = program.home / "backup.db"
    done = program("ledger", "backup", str(backup), "--json")
    assert (0, 1, str(backup)) == (done.code, done.json["gifts"], done.json["backup"])
    assert 0o600 == stat.S_IMODE(backup.stat().st_mode)
    with Ledger(backup) as copied:
        (batch,) = copied.batches()
        assert links_at(emulator) == {str((result.issued or {})["payout"]["url"]) for result in copied.results(batch)}
    assert 0 == program(*GIFT, "--batch", "second", "--again").code  # the ledger itself is still the newest
    older = program(*GIFT, "--batch", "third", "--again", "--json", RUNA_LEDGER=str(backup))
    assert (4, "ledger_went_backwards") == (older.code, older.error["code"])
    assert 2 == posts(emulator)
    again = program("ledger", "backup", str(backup), "--json")
    assert (2, "usage") == (again.code, again.error["code"])
    assert [] == [path.name for path in program.home.glob(".backup*")]


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_backup_has_got_as_far_as_the_ledger_and_its_copy_one_change_further(
    tmp_path: Path, postgres: Server, engine: str
) -> None:
    """A restored backup is behind after a single change, and a ledger that was copied elsewhere is at once."""
    other, copied = postgres.database().address, postgres.database().address
    with (
        Ledger(tmp_path / "ledger.db" if engine == "sqlite" else other) as ledger,
        Ledger(copied if engine == "sqlite" else tmp_path / "copied.db") as target,
    ):
        ledger.record(new_batch(1), [order(1)], known=[], check=lambda: None, now=datetime.now(UTC))
        ledger.back_up(tmp_path / "backup.db", lambda *_: None)
        (row,) = ledger._engine.select("SELECT changes FROM ledger")
        with closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
            assert [(row["changes"],)] == backup.execute("SELECT changes FROM ledger").fetchall()
        target.copy_from(ledger, lambda *_: None)
        numbers = [each._engine.select("SELECT changes FROM ledger")[0]["changes"] for each in (target, ledger)]
        assert 1 == numbers[0] - numbers[1]


def test_a_backup_that_is_shown_does_not_close_the_ledger(program: Program, emulate: Emulate) -> None:
    emulator = emulate(processing_seconds=0)
    assert 0 == program(*GIFT, "--batch", "first").code
    backup = program.home / "backup.db"
    assert 0 == program("ledger", "backup", str(backup)).code
    assert 0 == program("batch", "list", RUNA_LEDGER=str(backup)).code
    assert 0 == program(*GIFT, "--batch", "second", "--again").code
    assert 2 == posts(emulator)


@pytest.mark.parametrize("change", [("batch", "abandon", "lost", "--yes"), ("policy", "store", "policy.toml")])
def test_a_restored_backup_is_refused_after_a_single_change(
    program: Program, emulate: Emulate, change: tuple[str, ...]
) -> None:
    """An order that was given up would be sent, a policy that was stored would not hold."""
    emulator = emulate(processing_seconds=0)
    (program.home / "policy.toml").write_text('version = 1\n[[limit]]\nper = "order"\nmax = "50 USD"\n')
    program.killed_at("call:Client.create_order", *GIFT, "--batch", "lost")
    backup = program.home / "backup.db"
    assert 0 == program("ledger", "backup", str(backup)).code
    changed = program(*change)
    assert 0 == changed.code, changed.err
    backup.replace(program.ledger)
    for end in ("-wal", "-shm"):
        program.ledger.with_name(program.ledger.name + end).unlink(missing_ok=True)
    refused = program("batch", "resume", "lost", "--json")
    assert (4, "ledger_went_backwards", 0) == (refused.code, refused.error["code"], posts(emulator))


def test_a_backup_is_made_while_another_process_writes(tmp_path: Path, database: Database) -> None:
    for address in (tmp_path / "ledger.db", ServerLedger(database.url)):
        with Ledger(address) as ledger, Ledger(address) as other:
            other.record(new_batch(1), [order(1)], known=[], check=lambda: None, now=datetime.now(UTC))
            with other._engine.transaction() as transaction:
                transaction.execute("UPDATE batch SET account = 'not committed'")
                copied = ledger.back_up(tmp_path / f"{type(address).__name__}.db", lambda *_: None)
            assert 1 == copied.rows["batch"]
        with Ledger(tmp_path / f"{type(address).__name__}.db") as backup:
            assert ["xxtests"] == [batch.account for batch in backup.batches()]


def test_there_is_nothing_to_back_up_without_a_ledger(program: Program) -> None:
    ran = program("ledger", "backup", "backup.db", "--json", RUNA_ENV="local")
    assert (4, "ledger_unusable") == (ran.code, ran.error["code"])
    assert [] == [*program.home.glob("**/*.db")]
