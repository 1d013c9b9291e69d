"""The shim in front of the real program: built, asked for a fault, and telling to which boundaries the program came.

A boundary is a call by which the program changes the disk, talks to the network or writes what it shows;
`faultpoints.c` says which they are and what can happen there.
"""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeVar

Kind = Literal["kill", "full", "sync", "cut"]

NEVER = 10**9  # a fault at this boundary is none, and those it could hit are counted all the same
# What every kind of fault must be able to hit, for the program records, sends and shows.
_EXPECTED: dict[Kind, tuple[str, ...]] = {
    "kill": ("open ledger.db-wal", "pwrite64 ledger.db-wal", "fdatasync ledger.db-wal", "connect socket", "send socket",
             "recv socket", "write shown"),
    "full": ("open ledger.db-wal", "pwrite64 ledger.db-wal", "write shown"),
    "sync": ("fdatasync ledger.db-wal", "fdatasync ledger.db"),
}  # fmt: skip
_EXPECTED_ON_SERVER: dict[Kind, tuple[str, ...]] = {
    "kill": ("connect server", "send server", "recv server", "connect socket", "send socket", "recv socket",
             "write shown"),
    "full": ("write shown",),
    "sync": ("fsync ledger-mark",),
    "cut": ("send server", "recv server"),
}  # fmt: skip
_LEAST_SYNCS = 5  # the record, the sending, the reply, the showing and the end are each on disk before the next begins

T = TypeVar("T")


class NotObserved(Exception):
    """The shim does not see what the program does, so its counts mean nothing."""


@dataclass(frozen=True)
class Boundary:
    """One call that the program was about to make, and when, in seconds on the system's clock."""

    number: int
    seconds: float
    call: str
    target: str

    @property
    def name(self) -> str:
        """The call and what it acts on, the same in every run."""
        return f"{self.call} {self.target}"


def build(directory: Path) -> Path:
    """Compile the shim. Raises OSError where there is no compiler, CalledProcessError where it does not compile."""
    library = directory / "faultpoints.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def environment(library: Path, log: Path, kind: Kind, number: int, port: int | None = None) -> dict[str, str]:
    """Return what puts the shim in front of a run, with a fault at a boundary; `port` is the ledger's server's."""
    env = {"LD_PRELOAD": str(library), "FAULT_LOG": str(log), "FAULT": f"{kind}:{number}"}
    return env if port is None else env | {"FAULT_PORT": str(port)}


def read(log: Path) -> list[Boundary]:
    """Return the boundaries that a run came to, those at which its fault can be."""
    lines = (line.split(" ", 3) for line in log.read_text().splitlines()) if log.exists() else ()
    found = (Boundary(int(number), float(seconds), call, _name(path)) for number, seconds, call, path in lines)
    return sorted((boundary for boundary in found if boundary.number), key=lambda boundary: boundary.number)


def check(boundaries: Sequence[Boundary], kind: Kind, *, on_server: bool = False) -> None:
    """Make sure that a whole run was seen. Raises NotObserved."""
    names = [boundary.name for boundary in boundaries]
    missing = [name for name in (_EXPECTED_ON_SERVER if on_server else _EXPECTED)[kind] if name not in names]
    syncs = sum(name == "fdatasync ledger.db-wal" for name in names)
    if missing or (kind != "full" and not on_server and syncs < _LEAST_SYNCS):
        raise NotObserved(
            f"of {len(names)} boundaries none is {', '.join(missing)}" if missing else f"{syncs} syncs seen"
        )
    if [boundary.number for boundary in boundaries] != list(range(1, len(boundaries) + 1)):
        raise NotObserved("the boundaries are not numbered one after the other")


def edges(boundaries: Sequence[Boundary]) -> list[Boundary]:
    """Return the boundaries where the program begins something else than it did before."""
    return [*boundaries[:1], *(later for before, later in pairwise(boundaries) if later.name != before.name)]


def evenly(members: Sequence[T], most: int) -> list[T]:
    """Return at most so many members, spread evenly, the first and the last among them."""
    if len(members) <= most:
        return list(members)
    if most < 2:
        return list(members[:most])
    return [members[index * (len(members) - 1) // (most - 1)] for index in range(most)]


def _name(path: str) -> str:
    """Return the last part of a path without what differs from run to run."""
    name = re.sub(r":\[\d+\]| \(deleted\)$", "", path.rpartition("/")[2])
    name = re.sub(r"^(ledger-mark)-\w+\.json$", r"\1", name)
    return re.sub(r"^\.(results\.csv)\.\w+$|^(etilqs)_\w+$", r"temporary \1\2", name)
