"""Where the ledger of a story is, in a file or on a server, and what may happen to it there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from runa_cli.config.ledger_address import LedgerAddress
from tests.support.cutting_proxy import When
from tests.support.searching import differences

_FILES = ("ledger.db", "ledger.db-wal")


@dataclass(frozen=True)
class Trouble:
    """What a ledger meets in one run.

    The disk: `room` is how much its files may still grow, in bytes. The server: the connection is cut before or after
    a commit is done, at `cuts` commits from the number `first` on.
    """

    room: int
    when: When
    first: int
    cuts: int


class Place(Protocol):
    """Where a ledger is."""

    # Functions whose names differ, by the names that stories have for them.
    points: Mapping[str, str]

    @property
    def address(self) -> LedgerAddress:
        """Where it can be looked into, whatever trouble there is."""

    def environment(self, trouble: Trouble | None) -> dict[str, str]:
        """Return the variables that lead a run to it, and begin the trouble."""

    def largest_file(self, trouble: Trouble | None) -> int | None:
        """Return how large any file of a run may be."""

    def end_claims(self) -> None:
        """Let the time pass for which a process that was killed, or has lost its server, keeps its claims."""

    def copy(self) -> Any:
        """Return a copy of it, made while nothing runs and nobody looks into it."""

    def restore(self, copy: Any) -> None:
        """Put a copy in its place."""

    def another(self, home: Path) -> "Place":
        """Return a new and empty ledger for a machine with that home."""

    def search_differences(self) -> list[str]:
        """Return how what a search reads differs from the gifts."""

    def everything(self) -> Iterator[bytes]:
        """Yield what it holds, but for the files of the home."""

    def close(self) -> None:
        """Remove it."""


class FilePlace:
    """A ledger in a file of the home."""

    points: Mapping[str, str] = MappingProxyType({"Engine.commit": "SQLiteEngine.transaction"})

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / "ledger.db"

    @property
    def address(self) -> LedgerAddress:
        """See `Place`."""
        return self._path

    def environment(self, _trouble: Trouble | None) -> dict[str, str]:
        """See `Place`."""
        return {"RUNA_LEDGER": str(self._path)}

    def largest_file(self, trouble: Trouble | None) -> int | None:
        """See `Place`."""
        largest = max(path.stat().st_size for path in self._home.iterdir() if path.name.startswith("ledger"))
        return None if trouble is None else largest + trouble.room

    def end_claims(self) -> None:
        """See `Place`. The system has released its locks."""

    def copy(self) -> dict[str, bytes]:
        """See `Place`."""
        return {name: (self._home / name).read_bytes() for name in _FILES if (self._home / name).exists()}

    def restore(self, copy: dict[str, bytes]) -> None:
        """See `Place`."""
        for name in (*_FILES, "ledger.db-shm"):
            (self._home / name).unlink(missing_ok=True)
        for name, content in copy.items():
            (self._home / name).write_bytes(content)

    def another(self, home: Path) -> "FilePlace":
        """See `Place`."""
        return FilePlace(home)

    def search_differences(self) -> list[str]:
        """See `Place`."""
        return differences(self._path)

    def everything(self) -> Iterator[bytes]:
        """Yield nothing: the files are in the home."""
        return iter(())

    def close(self) -> None:
        """Its files go with the home."""
