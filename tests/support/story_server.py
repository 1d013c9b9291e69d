"""A PostgreSQL server for stories: their clock is the server's too, and each story has a ledger of its own there."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg

from runa_cli.config.ledger_address import LedgerAddress
from runa_cli.ledger.postgres_init import initialise
from runa_cli.ledger.postgres_schema import RIGHTS
from tests.support.cutting_proxy import CuttingProxy
from tests.support.ledger_places import Trouble
from tests.support.postgres import Database, Server
from tests.support.searching import differences_in
from tests.support.shared_time import START, SharedTime

_SHORT_PATIENCE = "3"  # seconds, for a server that is lost for good
_LOST_FOR_GOOD = 100  # cuts

# PostgreSQL's own `clock_timestamp` comes after this one in the search path. The file has the eight bytes of a double,
# least first: the seconds since the story began.
_CLOCK = """
    CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        bytes bytea := pg_read_binary_file('{path}');
        bits bigint := 0;
        seconds float8 := 0;
    BEGIN
        FOR place IN REVERSE 7..0 LOOP
            bits := (bits << 8) | get_byte(bytes, place);
        END LOOP;
        IF bits != 0 THEN
            seconds := (1 + (bits & 4503599627370495) / 4503599627370496.0::float8)
                * 2.0::float8 ^ (((bits >> 52) & 2047) - 1023);
        END IF;
        RETURN '{start}'::timestamptz + make_interval(secs => seconds);
    END $$
"""


class StoryServer:
    """A server on which stories are told, one at a time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._time = server.cluster.sockets / "time"
        self.begin()
        self._template = server.empty()
        _search_here_first(self._template)
        self._template.run(_CLOCK.format(path=self._time, start=START.isoformat()))
        initialise(self._template.address)

    def begin(self) -> SharedTime:
        """Return the time of a new story."""
        self._time.unlink(missing_ok=True)
        return SharedTime.in_file(self._time)

    def ledger(self) -> Database:
        """Return a new and empty ledger."""
        database = self.copy(self._template)
        database.run("UPDATE ledger SET id = md5(random()::text)")
        return database

    def copy(self, database: Database) -> Database:
        """Return a copy of a ledger to which nobody is connected."""
        copy = self.server.copy(database)
        _search_here_first(copy)  # what is set for a database is not copied with it
        return copy


def _search_here_first(database: Database) -> None:
    database.run(f"ALTER DATABASE {database.name} SET search_path = public, pg_catalog")


class ServerPlace:
    """A ledger in a database on a server, which the program reaches through a proxy. Implements `Place`."""

    points: Mapping[str, str] = MappingProxyType(
        {"Engine.commit": "PostgresEngine._commit", "Claims.take": "Leases.take"}
    )

    def __init__(self, stories: StoryServer) -> None:
        self._stories = stories
        self._server = stories.server
        self._database = stories.ledger()
        self._copies: list[Database] = []
        self._proxy = CuttingProxy((self._server.host, self._server.port), "before", ())
        self._proxy.start()

    @property
    def address(self) -> LedgerAddress:
        """See `Place`."""
        return self._database.address

    def environment(self, trouble: Trouble | None) -> dict[str, str]:
        """See `Place`."""
        cuts = range(trouble.first, trouble.first + trouble.cuts) if trouble else ()
        self._proxy.cut_at(trouble.when if trouble else "before", cuts)
        env = {"RUNA_LEDGER": self._server.url(self._database.name, port=self._proxy.port)}
        return env | ({"RUNA_TIMEOUT": _SHORT_PATIENCE} if len(cuts) >= _LOST_FOR_GOOD else {})

    def largest_file(self, trouble: Trouble | None) -> int | None:  # noqa: ARG002 - its files are the server's
        """See `Place`."""
        return None

    def end_claims(self) -> None:
        """See `Place`."""
        self._database.end_leases()

    def copy(self) -> Database:
        """See `Place`."""
        name = self._database.name  # a killed run's connection may end a moment after it
        self._server.run(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
        self._copies.append(self._stories.copy(self._database))
        return self._copies[-1]

    def restore(self, copy: Database) -> None:
        """See `Place`."""
        self._server.drop(self._database)
        self._server.run(f"CREATE DATABASE {self._database.name} TEMPLATE {copy.name}")
        _search_here_first(self._database)

    def another(self, home: Path) -> "ServerPlace":  # noqa: ARG002 - nothing of it is in the home
        """See `Place`."""
        return ServerPlace(self._stories)

    def search_differences(self) -> list[str]:
        """See `Place`."""
        with psycopg.connect(self._database.url, row_factory=psycopg.rows.dict_row) as connection:
            select: Callable[[str], Iterable[Any]] = connection.execute
            return differences_in(select)

    def everything(self) -> Iterator[bytes]:
        """See `Place`."""
        for table in RIGHTS:
            yield from (text.encode() for (text,) in self._database.run(f"SELECT t::text FROM {table} t"))

    def close(self) -> None:
        """See `Place`."""
        self._proxy.close()
        for database in (self._database, *self._copies):
            self._server.drop(database)
