"""A ledger on a PostgreSQL server: when it is refused, and that nothing is sent then."""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.core.errors import LedgerUnusable
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.postgres_init import initialise
from runa_cli.ledger.postgres_schema import RIGHTS
from runa_cli.ledger.records import Exchange
from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.ledgers import new_batch, order
from tests.support.postgres import Database, Server
from tests.support.program import GIFT, Program, posts

pytestmark = pytest.mark.file_ledger("it has one of its own")


def refusal(address: ServerLedger) -> str:
    """Return the message with which a ledger is refused."""
    with pytest.raises(LedgerUnusable) as refused, Ledger(address) as ledger:
        ledger.record(new_batch(1), [order(1)], known=[], check=lambda: None, now=datetime.now(UTC))
    return refused.value.message


@contextmanager
def server_setting(server: Server, name: str, value: str) -> Iterator[None]:
    """Set the server otherwise for a while."""
    server.run(f"ALTER SYSTEM SET {name} = {value}")
    server.run("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        server.run(f"ALTER SYSTEM RESET {name}")
        server.run("SELECT pg_reload_conf()")


def test_tables_are_made_by_init_alone_and_by_a_second_one_no_more(
    program: Program, emulate: Emulate, postgres: Server
) -> None:
    """Who issues needs no right to make tables."""
    emulator = emulate()
    program.env["RUNA_LEDGER"] = (empty := postgres.empty()).url
    refused = program(*GIFT, "--json")
    assert (4, "ledger_unusable", "not_issued") == (refused.code, refused.error["code"], refused.error["money"])
    assert "`runa ledger init`" in refused.error["hint"]
    assert 0 == posts(emulator)
    assert [] == empty.run("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
    shown = f"postgresql://localhost:{postgres.port}/{empty.name}"
    assert {"ledger": shown, "made": True, "migrated": False} == program("ledger", "init", "--json").json
    assert {"ledger": shown, "made": False, "migrated": False} == program("ledger", "init", "--json").json
    assert 0 == program(*GIFT).code
    assert 1 == posts(emulator)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_may_forget_what_it_has_confirmed_is_refused(
    postgres: Server, database: Database, name: str
) -> None:
    with server_setting(postgres, name, "off"):
        assert f"cannot be used: {name} is off there" in refusal(database.address)


def test_a_role_that_commits_without_waiting_for_the_disk_is_refused(database: Database) -> None:
    database.run(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    assert "synchronous_commit is off there" in refusal(database.address)


def test_a_database_that_may_change_text_is_refused(postgres: Server) -> None:
    postgres.run("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    assert "is encoded in SQL_ASCII" in refusal(ServerLedger(postgres.url("bytes")))


def test_a_ledger_of_a_newer_or_older_version_is_refused(database: Database) -> None:
    database.run("UPDATE ledger SET version = version + 1")
    assert "was written by a newer runa" in refusal(database.address)
    database.run("UPDATE ledger SET version = version - 2")
    assert "is of an older version" in refusal(database.address)


def test_a_database_of_another_program_is_refused_and_gets_no_tables(postgres: Server) -> None:
    other = postgres.empty()
    other.run("CREATE TABLE gift (id integer)")
    assert "a database of another program" in refusal(other.address)
    with pytest.raises(LedgerUnusable, match="a database of another program"):
        initialise(other.address)
    assert [("gift",)] == other.run("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")


def _issuer(postgres: Server, database: Database) -> ServerLedger:
    postgres.run(f"CREATE ROLE issuer_{database.name} LOGIN PASSWORD '{postgres.password}'")
    for table, rights in RIGHTS.items():
        database.run(f"GRANT {rights} ON {table} TO issuer_{database.name}")
    return ServerLedger(postgres.url(database.name, user=f"issuer_{database.name}"))


def test_the_documented_rights_are_enough_to_issue(program: Program, emulate: Emulate, postgres: Server,
                                                   database: Database) -> None:  # fmt: skip
    emulate()
    program.env["RUNA_LEDGER"] = _issuer(postgres, database).connection
    path = sheet(program.home / "gifts.csv", gifts(2))
    command = ("order", "create", "--file", str(path), "--batch", "bonus")
    assert 0 == program(*command).code
    sheet(path, gifts(3))
    assert 0 == program(*command).code
    sheet(path, gifts(1, first=9))
    assert 0 == program("order", "create", "--file", str(path), "--by-reference", "--batch", "bonus").code
    assert 0 == program("batch", "export", "bonus", "-o", "links").code
    assert 0 == program("batch", "prune", "bonus", "--older-than", "0", "--yes").code
    documented = (Path(__file__).parents[2] / "docs/postgres.md").read_text()
    assert [] == [line for table, rights in RIGHTS.items() if (line := f"GRANT {rights} ON {table} ") not in documented]


def test_a_role_that_could_not_record_the_reply_may_not_send(postgres: Server, database: Database) -> None:
    address = _issuer(postgres, database)
    database.run(f"REVOKE UPDATE ON gift FROM issuer_{database.name}")
    assert "this role lacks a right: UPDATE on the table gift" in refusal(address)


@pytest.mark.parametrize("host", ["192.0.2.1", "db.example.com", "localhost,db.example.com"])
@pytest.mark.parametrize("mode", ["", "?sslmode=require", "?sslmode=verify-ca"])
def test_a_server_elsewhere_must_prove_who_it_is_before_a_password_is_sent(host: str, mode: str) -> None:
    message = refusal(ServerLedger(f"postgresql://runa:secret@{host}/runa{mode}"))
    assert "is another machine, and its certificate would not be verified" in message
    assert "secret" not in message


def test_another_server_may_be_named_in_a_service_file_or_a_variable(
    postgres: Server, database: Database, program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are libpq's own, and are checked as the address is."""
    services = tmp_path / "services"
    services.write_text(
        f"[here]\nhost={postgres.host}\nport={postgres.port}\ndbname={database.name}\nuser=postgres\n"
        "[there]\nhost=db.example.com\n"
    )
    passwords = tmp_path / "passwords"
    passwords.write_text(f"*:*:*:*:{postgres.password}\n")
    passwords.chmod(0o600)
    program.env.update(PGSERVICEFILE=str(services), PGPASSFILE=str(passwords))
    assert [] == program("batch", "list", "--json", RUNA_LEDGER="service=here").json
    here = {"PGHOST": postgres.host, "PGPORT": str(postgres.port), "PGUSER": "postgres", "PGDATABASE": database.name}
    assert [] == program("batch", "list", "--json", RUNA_LEDGER="postgresql://", **here).json
    refused = program("batch", "list", "--json", RUNA_LEDGER="service=there")
    assert "db.example.com is another machine" in refused.error["message"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://runa:geheim@localhost:1/runa",
        "postgresql://runa:ge@heim@localhost:1/runa",
        "postgresql://localhost:1/runa?password=geheim&user=runa",
        "postgresql://runa:geheim@localhost:port/runa",
        "postgresql://runa:geheim@[::1/runa",
    ],
)
def test_a_password_in_the_address_is_shown_nowhere(program: Program, url: str) -> None:
    for command in (("config",), ("config", "--json"), ("batch", "list"), ("ledger", "init", "-v"), GIFT):
        ran = program(*command, RUNA_LEDGER=url, RUNA_ENV="local")
        assert "heim" not in ran.out + ran.err
        assert "postgresql://" in ran.out + ran.err


@pytest.mark.parametrize("text", ["mysql://localhost/runa", "postgres:/localhost/runa", "sqlite:///ledger.db"])
def test_what_is_neither_a_path_nor_such_an_address_makes_no_file(program: Program, text: str) -> None:
    ran = program(*GIFT, "--json", RUNA_LEDGER=text, RUNA_ENV="local")
    assert (4, "configuration") == (ran.code, ran.error["code"])
    assert [] == [path for path in program.home.rglob("*") if "ledger" in path.name or "postgres" in path.name]


def test_without_the_driver_the_extra_is_named(program: Program) -> None:
    (program.home / "psycopg.py").write_text("raise ImportError('no pq wrapper available')")
    ran = program.execute(
        program.command("batch", "list", "--json"), RUNA_LEDGER="postgresql://localhost/runa", RUNA_ENV="local",
        PYTHONPATH=str(program.home),
    )  # fmt: skip
    assert (4, "configuration") == (ran.code, ran.error["code"])
    assert "pip install 'runa-cli[postgres]'" in ran.error["hint"]


def test_in_live_an_order_needs_a_name(program: Program, emulate: Emulate, database: Database) -> None:
    """Each machine would make up its own."""
    emulator = emulate()
    live = {"RUNA_ENV": "live", "RUNA_API_KEY": "wgtests.secret", "RUNA_LEDGER": database.url}
    for more in ((), ("--dry-run",)):
        ran = program(*GIFT, "--yes", "--json", *more, **live)
        assert (4, "batch_name_needed", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert 0 == posts(emulator)
    assert 0 == program(*GIFT, "--yes", "--batch", "bonus", **live).code


def test_a_server_that_is_restored_from_a_backup_is_refused(
    program: Program, emulate: Emulate, postgres: Server, database: Database
) -> None:
    """The mark on the machine that issued tells that what it knew is gone."""
    emulator = emulate()
    program.env["RUNA_LEDGER"] = database.url
    assert 0 == program(*GIFT, "--batch", "first").code
    postgres.run(f"CREATE DATABASE older TEMPLATE {database.name}")
    assert 0 == program(*GIFT, "--batch", "second", "--again").code
    postgres.run(f"DROP DATABASE {database.name}")
    postgres.run(f"ALTER DATABASE older RENAME TO {database.name}")
    ran = program(*GIFT, "--batch", "third", "--again", "--json")
    assert (4, "ledger_went_backwards") == (ran.code, ran.error["code"])
    assert 2 == posts(emulator)


def test_text_that_postgresql_cannot_hold_is_refused_before_anything_is_sent(database: Database) -> None:
    named = replace(new_batch(1), name="bonus\0")
    with Ledger(database.address) as ledger:
        with pytest.raises(LedgerUnusable, match="cannot hold a text as it is") as refused:
            ledger.record(named, [order(1)], known=[], check=lambda: None, now=datetime.now(UTC))
        assert refused.value.hint == "Nothing was sent. Take that character out of the input."
        assert [] == [*ledger.batches()]


def test_an_answer_is_recorded_whatever_characters_it_holds(database: Database) -> None:
    now = datetime.now(UTC)
    with Ledger(database.address) as ledger:
        batch = ledger.record(new_batch(1), [order(1)], known=[], check=lambda: None, now=now)
        assert batch is not None
        (recorded,) = ledger.orders(batch)
        noted = ledger.mark_rejected(recorded, b"\0\xff", Exchange(error_text="a\0\ud800b"), now)
    assert (b"\0\xff", "a\\x00\\ud800b") == (noted.reply, noted.error_text)


def index_columns(definitions: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the columns of indexes by their names, from the statements that make them."""
    return {name: re.findall(r"\w+", made.partition("(")[2].partition(")")[0]) for name, made in definitions}


def test_a_server_has_the_tables_columns_and_indexes_that_a_file_has(tmp_path: Path, database: Database) -> None:
    Ledger(tmp_path / "ledger.db").close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as file:
        columns = set(
            file.execute(
                "SELECT tables.name, columns.name FROM sqlite_schema AS tables"
                " JOIN pragma_table_info(tables.name) AS columns"
                " WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite%'"
            )
        )
        indexes = index_columns(
            file.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        )
        triggers = [*file.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")]
    own = {"only_row", "version"}  # of the one row of `ledger`: in a file, SQLite keeps the version itself
    assert columns == {
        (table, column)
        for table, column in database.run(
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'"
        )
        if table not in {"claim", "written"} and column not in own
    }
    found = index_columns(database.run("SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
    assert indexes == {name: found.get(name) for name in indexes}
    found_triggers = database.run("SELECT DISTINCT trigger_name::text FROM information_schema.triggers")
    assert sorted(triggers) == sorted(found_triggers)


def test_names_are_in_the_same_order_as_in_a_file_whatever_the_database_is_set_to(database: Database) -> None:
    """A fingerprint is of gifts in their order, and must be the same on both engines."""
    assert [("C",)] == database.run(
        "SELECT DISTINCT collation_name::text FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'text'"
    )


def test_a_standby_is_refused_and_so_is_an_init_there(postgres: Server, database: Database) -> None:
    """It takes no changes, and may lack the last ones."""
    with postgres.standby() as standby:
        address = ServerLedger(standby.url(database.name))
        assert "the server is in recovery" in refusal(address)
        with pytest.raises(LedgerUnusable, match="the server is in recovery"):
            initialise(address)
