"""A PostgreSQL server for tests, started by them and gone with them, and the databases on it."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.ledger.postgres_init import initialise
from tests.support import postgres_cluster
from tests.support.postgres_cluster import NOT_INSTALLED, Cluster, free_port
from tests.support.waiting import wait_until

__all__ = ["NOT_INSTALLED", "Database", "Server", "free_port", "is_left_out", "server"]

_USER = "postgres"
_IS_SET = "SELECT 1 FROM pg_settings WHERE name = %s AND setting = %s"
_IS_RESET = "SELECT 1 FROM pg_settings WHERE name = %s AND coalesce(sourcefile, '') NOT LIKE '%%.auto.conf'"


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
    cluster: Cluster
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, *, user: str | None = None, port: int | None = None) -> str:
        """Return the URL of a database. Every role has the same password."""
        return f"postgresql://{user or self.user}:{self.password}@{self.host}:{port or self.port}/{database}"

    def run(self, statement: str) -> None:
        """Run a statement as the superuser."""
        Database(self.url("postgres"), "postgres").run(statement)

    @contextmanager
    def settings(self, **values: str) -> Iterator[None]:
        """Set the server otherwise for a while; what connects from then on finds it so."""
        self._set(values)
        try:
            yield
        finally:
            self._set(dict.fromkeys(values))

    def _set(self, values: Mapping[str, str | None]) -> None:
        for name, value in values.items():
            self.run(f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = '{value}'")
        self.run("SELECT pg_reload_conf()")
        asked = Database(self.url("postgres"), "postgres")
        wait_until(  # it reads them again in its own time
            lambda: all(
                asked.run(_IS_RESET, name) if value is None else asked.run(_IS_SET, name, value)
                for name, value in values.items()
            )
        )

    @contextmanager
    def standby(self) -> Iterator["Server"]:
        """Run a standby of this server on the same machine, which receives its changes asynchronously."""
        with postgres_cluster.directory(self.cluster.data.parent.parent) as directory:
            cluster = Cluster(directory / "data", free_port())
            cluster.copy_from(f"host={self.host} port={self.port} user={self.user} password={self.password}")
            cluster.start()
            yield Server(self.host, cluster.port, self.user, self.password, cluster)

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

    def copy(self, database: Database) -> Database:
        """Return a new database that holds what another one holds, to which nobody must be connected."""
        name = f"copy{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {database.name}")
        return Database(self.url(name), name)

    def drop(self, database: Database) -> None:
        """Delete a database, whoever is connected to it."""
        self.run(f"DROP DATABASE {database.name} WITH (FORCE)")


def is_left_out() -> bool:
    """Tell whether the tests that need a server are left out: it is not installed, and need not be (`POSTGRES`)."""
    return postgres_cluster.programs() is None and os.environ.get("POSTGRES") != "required"


@contextmanager
def server(parent: Path | None = None) -> Iterator[Server]:
    """Run a server that keeps what it confirms. `parent` is the directory for its files, by default one in memory."""
    with postgres_cluster.directory(parent) as directory:
        cluster, password = Cluster(directory / "data", free_port()), secrets.token_hex(16)
        cluster.make(_USER, password)
        cluster.start()
        yield Server("localhost", cluster.port, _USER, password, cluster)
