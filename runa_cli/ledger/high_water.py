"""The high-water mark of a ledger: how far it had got when it was last written here, kept apart from it.

A ledger that is behind its mark is an older copy, lacks its `-wal` file or is another one: it does not know everything
that was issued, and sending from it could pay twice. A copy that was used elsewhere may have counted as many changes,
and lacks orders all the same; but its journal does not hold the events that the mark names. The mark is written after
the ledger has committed, so after a crash it may be behind the ledger, but never ahead of it.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct, field

from runa_cli.core import exact_json
from runa_cli.core.errors import LedgerUnusable

_PREFIX = "ledger-mark-"
_RESTORE_FILE = "Restore the newer file, with its -wal file if there is one."
RESTORE_SERVER = "Restore the newer database, or go back to the server that has it."
_MOST_BYTES = 65_536  # a mark has a few hundred, most of them the path of its ledger
_NUMBERS = ("changes", "orders", "gifts", "checks")
_STEPS = tuple(4**step for step in range(10))  # events between the ends of a journal and those that a mark names
_HEAD_DIGITS = 16  # of an event's hash
_HEADS_WIDTH = (1 + 2 * len(_STEPS)) * (10 + 1 + _HEAD_DIGITS + 1)  # so that a mark always has the same length

EventsAt = Callable[[Collection[int]], Mapping[int, tuple[str, str]]]  # by number: the hash of an event, and its time


class Mark(NamedTuple):
    """How far a ledger has got: its random id, its changes, and the greatest ids of its orders and gifts.

    `checks` counts how often lost orders were read back into it (`runa ledger check`): whatever it lost then, with more
    changes than it has, is behind it. `heads` has numbers of events of its journal, each with the beginning of the
    event's hash: the newest one first, and others that are further and further apart from both ends.
    """

    ledger_id: str
    changes: int
    orders: int
    gifts: int
    checks: int = 0
    heads: tuple[tuple[int, str], ...] = ()

    @property
    def progress(self) -> tuple[int, int]:
        """What grows with each change."""
        return self.checks, self.changes


class Marks(Struct, frozen=True):
    """The marks as they were before a ledger was opened.

    `own` is that of the ledger's path, None where there is none. `furthest` has, by the id of a ledger, how far it had
    got under whichever path it was used, with the file that says so: a copy elsewhere must not be behind that either.
    """

    own: Mark | None = None
    furthest: Mapping[str, tuple[Mark, Path]] = field(default_factory=dict)


NO_MARKS = Marks()


class Doubt(NamedTuple):
    """Why a ledger may lack orders that were issued from it, found while it was opened to be checked.

    `error` is what every other command ends in. `checks` is the greatest such number of the marks. `known_until` is
    the time of the newest event that the ledger and its mark have in common, of those that the mark names. It is None
    where the ledger may lack any order, whichever ledger has issued it: they have none in common, another ledger was
    used on this machine, perhaps in its place, or it was checked since, and what that read back is lost with it.
    `elsewhere` is where another ledger has gone on from this one; None where none has.
    """

    error: LedgerUnusable
    checks: int = 0
    known_until: datetime | None = None
    elsewhere: str | None = None


class MarkFile:
    """The file with the mark of one ledger, in a directory apart from it."""

    def __init__(self, directory: Path, ledger: Path | str, restore: str = _RESTORE_FILE) -> None:
        """`ledger` is the file of the ledger itself, with links followed, or the address of its database.

        `restore` says how the newer one can be brought back.
        """
        self._ledger = ledger
        self._restore = restore
        digest = hashlib.sha256(os.fsencode(ledger)).hexdigest()[:16]
        self.path = directory / f"{_PREFIX}{digest}.json"

    def read(self) -> Marks:
        """Return the marks there are. Raises LedgerUnusable where the ledger's own cannot be read.

        It counts as none where this user may not read it, and so never wrote one: writing it then fails with a warning.
        """
        furthest: dict[str, tuple[Mark, Path]] = {}
        for path in self.path.parent.glob(f"{_PREFIX}*.json"):
            with suppress(OSError, LedgerUnusable):  # another ledger's is not this one's business
                mark = self._read_file(path)
                if mark and (mark.progress, not _is_kept(path)) >= _rank(furthest.get(mark.ledger_id)):
                    furthest[mark.ledger_id] = mark, path
        try:
            return Marks(self._read_file(self.path), furthest)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return Marks(None, furthest)
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error

    def advance(self, mark: Mark) -> None:
        """Write the mark, unless the file is further already. It survives a crash of the machine.

        Raises OSError, and LedgerUnusable as `read` does.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked(self.path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as handle:
            known = self._read(handle)
            if known is not None and known.ledger_id == mark.ledger_id and known.progress >= mark.progress:
                return
            if known is not None and known.ledger_id != mark.ledger_id:
                self._keep(known)
            # It is overwritten in place: its few bytes keep their places, so that a crash leaves the old or the new
            # ones, and the lock is that of the file which everybody reads.
            os.pwrite(handle, self._text(mark), 0)
            os.fsync(handle)

    def check(self, marks: Marks, found: Mark, events_at: EventsAt) -> None:
        """Check that a ledger as it was found is not behind its mark, and is no other one. Raises LedgerUnusable.

        `events_at` reads events of its journal. A ledger in which nothing was ever recorded may take the place of one
        that is gone, and that one may come back.
        """
        if found.ledger_id in marks.furthest:
            mark, path = marks.furthest[found.ledger_id]
            if found.progress < mark.progress:
                if (elsewhere := self._elsewhere(path)) is not None:
                    raise self._left_behind(elsewhere, found, mark)
                raise self._refused(f"went backwards: it holds {_extent(found)}", mark, path)
            for used, where in ((mark, path), (marks.own, self.path)):
                if used and used.ledger_id == found.ledger_id and not _goes_on_from(used, events_at):
                    what = f"is a copy that was used elsewhere since, and holds {_extent(found)}"
                    raise self._refused(what, used, where)
            if _is_kept(path) and not self._is_here(path):
                what = f"was replaced by another one where it was used before, and holds {_extent(found)}"
                raise self._refused(what, mark, path)
        if marks.own is None or found.ledger_id == marks.own.ledger_id:
            return
        if found.ledger_id and not (found.orders and marks.own.orders):
            return
        if not found.ledger_id:  # it is of an older version of this program
            raise self._refused(f"went backwards: it holds {_extent(found)}", marks.own, self.path)
        what = f"is another one than the one that was used here, and holds {_extent(found)}"
        raise self._refused(what, marks.own, self.path)

    def doubt(self, marks: Marks | LedgerUnusable, found: Mark, events_at: EventsAt) -> Doubt | None:
        """Return why a ledger as it was found may lack orders, where `check` refuses it or the marks are damaged."""
        if isinstance(marks, LedgerUnusable):
            return Doubt(marks)
        try:
            self.check(marks, found, events_at)
        except LedgerUnusable as error:
            checks = max(mark.checks for mark, _ in marks.furthest.values())
            if found.ledger_id not in marks.furthest:
                return Doubt(error, checks)
            mark, path = marks.furthest[found.ledger_id]
            others = (other for other, _ in marks.furthest.values() if other.ledger_id != found.ledger_id)
            lacks_any = mark.checks > found.checks or any(other.orders for other in others)
            known_until = None if lacks_any else _in_common(mark, events_at)
            return Doubt(error, checks, known_until, self._elsewhere(path))
        return None

    def set_aside(self) -> None:
        """Take a damaged mark out of the way of the next one. Raises OSError."""
        self.path.replace(self.path.with_suffix(".damaged"))

    def refuse_empty(self, marks: Marks) -> None:
        """Refuse an empty file in the place of a ledger that has a mark. Raises LedgerUnusable."""
        if marks.own is not None:
            raise self._refused("is empty", marks.own, self.path)

    def _refused(self, what: str, mark: Mark, path: Path) -> LedgerUnusable:
        return LedgerUnusable(
            f"The ledger {self._ledger} {what}. When it was last used, it held {_extent(mark)}. It does not know"
            " everything that was issued. Nothing was sent.",
            f"{self._restore} If the newer one is lost for good, `runa ledger check` reads back from Runa what was"
            f" issued since, and only then may this one be used again. (How far it had got is in {path}.)",
            code="ledger_went_backwards",
        )

    def _elsewhere(self, path: Path) -> str | None:
        """Return the ledger of another place that a mark is about; None where it is about this place, or not known."""
        if self._is_here(path) or _is_kept(path):
            return None
        with suppress(OSError, ValueError, KeyError, TypeError):
            content: Any = exact_json.loads(path.read_bytes().strip(b"\0 \n"))
            ledger = str(content["ledger"])
            return ledger if "://" in ledger or Path(ledger).exists() else None
        return None

    def _is_here(self, path: Path) -> bool:
        """Tell whether a mark is about this place: the own one, or one that was kept of an earlier ledger."""
        return path.name.startswith(self.path.stem)

    def _left_behind(self, elsewhere: str, found: Mark, mark: Mark) -> LedgerUnusable:
        if mark.checks == found.checks:
            how = f"holds {_extent(found)}, and {elsewhere}, one a copy of the other, has gone on to {_extent(mark)}"
        else:
            how = f"lacks what `runa ledger check` has read back into {elsewhere} since, one a copy of the other"
        return LedgerUnusable(
            f"The ledger {self._ledger} was left behind: it {how}. What is issued from one of them, the other does not"
            " know. Nothing was sent.",
            f"Set RUNA_LEDGER to {elsewhere}. Only if that one is lost for good: `runa ledger check` reads back from"
            " Runa what this one lacks.",
            code="ledger_went_backwards",
        )

    def _keep(self, mark: Mark) -> None:
        """Keep the mark of a ledger that another one replaces here, under a name of its own: a copy may turn up."""
        path = self.path.with_name(f"{self.path.stem}-{mark.ledger_id[:8]}.json")
        with self._locked(path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as handle:
            os.pwrite(handle, self._text(mark), 0)
            os.fsync(handle)

    def _read_file(self, path: Path) -> Mark | None:
        with self._locked(path, os.O_RDONLY, fcntl.LOCK_SH) as handle:
            return self._read(handle)

    @contextmanager
    def _locked(self, path: Path, flags: int, lock: int) -> Iterator[int]:
        """Open the file and hold a lock on it: several processes may use one ledger."""
        handle = os.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, lock)
            yield handle
        finally:
            os.close(handle)

    def _read(self, handle: int) -> Mark | None:
        text = os.pread(handle, _MOST_BYTES, 0).strip(b"\0 \n")
        if not text:  # a crash after the file was made and before its first mark was written
            return None
        try:
            content: Any = exact_json.loads(text)
            changes, orders, gifts, checks = (int(content.get(name, 0)) for name in _NUMBERS)
            named = (head.partition(":") for head in str(content.get("heads", "")).split())
            heads = tuple((int(number), digits) for number, _, digits in named)
            return Mark(str(content["ledger_id"]), changes, orders, gifts, checks, heads)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._unreadable("it is damaged") from error

    def _text(self, mark: Mark) -> bytes:
        """Return the bytes of a mark, always the same number of them for one ledger."""
        numbers = ", ".join(f'"{name}": {getattr(mark, name):>15}' for name in _NUMBERS)
        ledger = exact_json.dumps(os.fsencode(self._ledger).decode("utf-8", "backslashreplace"))
        heads = " ".join(f"{number}:{digits}" for number, digits in mark.heads).ljust(_HEADS_WIDTH)
        text = f'"ledger_id": {exact_json.dumps(mark.ledger_id)}, {numbers}, "heads": "{heads}", "ledger": {ledger}'
        return f"{{{text}}}\n".encode()

    def _unreadable(self, reason: str) -> LedgerUnusable:
        return LedgerUnusable(
            f"{self.path}, which tells how far the ledger {self._ledger} had got, cannot be read: {reason}. Nothing was"
            " sent.",
            "`runa ledger check` reads back from Runa what the ledger lacks, and writes this file anew.",
        )


def heads(newest: int, events_at: EventsAt) -> tuple[tuple[int, str], ...]:
    """Return what `heads` of a mark is for a journal whose newest event has this number; 0 for an empty one."""
    near, far = (newest - step for step in _STEPS), (step for step in _STEPS if step < newest)
    found = events_at([number for number in {newest, *near, *far} if number > 0])
    return tuple((number, found[number][0][:_HEAD_DIGITS]) for number in sorted(found, reverse=True))


def _goes_on_from(mark: Mark, events_at: EventsAt) -> bool:
    """Tell whether a ledger that is not behind a mark holds the newest event that the mark names, if it names one."""
    return not mark.heads or _is_there(mark.heads[0], events_at([mark.heads[0][0]]))


def _in_common(mark: Mark, events_at: EventsAt) -> datetime | None:
    """Return the time of the newest event that a mark names and a ledger holds; None where there is none."""
    found = events_at([number for number, _ in mark.heads])
    times = (found[head[0]][1] for head in mark.heads if _is_there(head, found))
    newest = next(times, None)
    return datetime.fromisoformat(newest).astimezone(UTC) if newest else None


def _is_there(head: tuple[int, str], found: Mapping[int, tuple[str, str]]) -> bool:
    number, digits = head
    return number in found and found[number][0].startswith(digits)


def _is_kept(path: Path) -> bool:
    """Tell whether a file holds the mark of a ledger in whose place another one was used since."""
    return "-" in path.name.removeprefix(_PREFIX)


def _rank(best: tuple[Mark, Path] | None) -> tuple[tuple[int, int], bool]:
    return ((-1, -1), False) if best is None else (best[0].progress, not _is_kept(best[1]))


def _extent(mark: Mark) -> str:
    return f"orders up to number {mark.orders}, gifts up to number {mark.gifts} and {mark.changes} changes"
