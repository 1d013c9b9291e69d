"""A PostgreSQL server for tests, started by them and gone with them, and the databases on it."""

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.ledger.postgres_init import initialise

NOT_INSTALLED = "PostgreSQL is not installed (Debian: apt-get install postgresql postgresql-common pgbouncer)"
_PROGRAM = "pg_virtualenv"
_SHOW = "env; exec cat"  # until its standard input is closed


@dataclass
class Database:
    """A database with the tables of a ledger."""

    url: str
    name: str

    @property
    def address(self) -> ServerLedger:
        """Its address."""
        return ServerLedger(self.url)

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement, past the ledger, and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def another(self) -> "Database":
        """Return a new database with an empty ledger, on the same server."""
        name = f"{self.name}_{secrets.token_hex(4)}"
        self.run(f"CREATE DATABASE {name}")
        made = Database(f"{self.url.rpartition('/')[0]}/{name}", name)
        initialise(made.address)
        return made

    def end_leases(self) -> None:
        """Let the minute pass after which the lease of a killed process ends."""
        self.run("UPDATE claim SET expires_at = '-infinity'")


@dataclass
class Server:
    """A running server. `settings` are those of `psql`: host, port, user and password."""

    host: str
    port: int
    user: str
    password: str
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, *, user: str | None = None, port: int | None = None) -> str:
        """Return the URL of a database. Every role has the same password."""
        return f"postgresql://{user or self.user}:{self.password}@{self.host}:{port or self.port}/{database}"

    def run(self, statement: str) -> None:
        """Run a statement as the superuser."""
        Database(self.url("postgres"), "postgres").run(statement)

    @contextmanager
    def standby(self, directory: Path) -> Iterator["Server"]:
        """Run a standby of this server on the same machine."""
        data, port = directory / "standby", free_port()
        with psycopg.connect(self.url("postgres")) as connection:
            version = str(connection.info.server_version // 10000)
        programs = Path("/usr/lib/postgresql") / version / "bin"
        as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []  # it refuses to be root
        data.mkdir(mode=0o700)
        for path in (directory, *directory.parents[:-2]):
            path.chmod(path.stat().st_mode | 0o011)
        if as_user:
            shutil.chown(data, "postgres")
        source = f"host={self.host} port={self.port} user={self.user} password={self.password}"
        backup = [str(programs / "pg_basebackup"), "-D", str(data), "-d", source, "-R", "-c", "fast", "-X", "stream"]
        subprocess.run([*as_user, *backup], check=True, cwd="/", capture_output=True)
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):  # Debian keeps them elsewhere
            (data / name).touch()
        (data / "pg_hba.conf").write_text(
            "host all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n"
        )
        options = f"-p {port} -c listen_addresses=localhost -c unix_socket_directories="
        control = [*as_user, str(programs / "pg_ctl"), "-D", str(data), "-w"]
        log = str(data / "log")
        subprocess.run([*control, "-l", log, "-o", options, "start"], check=True, cwd="/", stdout=subprocess.DEVNULL)
        try:
            yield Server(self.host, port, self.user, self.password)
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd="/", stdout=subprocess.DEVNULL)

    def empty(self) -> Database:
        """Return a new database without tables."""
        name = f"test{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return Database(self.url(name), name)

    def database(self) -> Database:
        """Return a new database with an empty ledger."""
        made = self.empty()
        initialise(made.address)
        return made


def is_left_out() -> bool:
    """Tell whether the tests that need a server are left out: it is not installed, and need not be (`POSTGRES`)."""
    return shutil.which(_PROGRAM) is None and os.environ.get("POSTGRES") != "required"


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def server() -> Iterator[Server]:
    """Run a server that keeps what it confirms."""
    program = shutil.which(_PROGRAM)
    assert program, NOT_INSTALLED
    # -t: a directory of its own, for several of them run at a time.
    running = subprocess.Popen(
        [program, "-t", "-o", "fsync=on", "sh", "-c", _SHOW],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PATH": os.environ["PATH"], "PGPORT": str(free_port()), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        settings: dict[str, str] = {}
        said: list[str] = []
        while not {"PGPORT", "PGHOST", "PGUSER", "PGPASSWORD"} <= settings.keys():
            line = running.stdout.readline()
            assert line, f"pg_virtualenv has ended: {''.join(said)}"
            said.append(line)
            name, _, value = line.strip().partition("=")
            settings[name] = value
        yield Server(settings["PGHOST"], int(settings["PGPORT"]), settings["PGUSER"], settings["PGPASSWORD"])
    finally:
        running.stdin.close()
        running.stdout.read()
        running.stdout.close()
        running.wait()
