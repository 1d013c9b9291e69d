"""A process that has the program loaded and forks for each run of it: a run costs milliseconds, and dies for real.

The run is the whole program in a process of its own, from its arguments to its exit code: a kill is a SIGKILL, a full
disk a limit of the system on the size of files, a second process a second process. Only its clock is ours: a number in
a file that nothing but a sleep moves on, which the emulator in the tests' process reads too.
"""

import importlib
import json
import mmap
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from tests.support.code_points import Action, watch
from tests.support.program import LONGEST, ROOT, Ran

_START = datetime(2026, 1, 2, 12, tzinfo=UTC)


class SharedTime:
    """The time of all processes that have its file open; it passes only when somebody sleeps."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(handle, 8)
        self._shared = mmap.mmap(handle, 8)
        os.close(handle)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the file."""
        self._shared.close()

    def seconds(self) -> float:
        """Return the time as a stopwatch shows it."""
        (seconds,) = struct.unpack("d", self._shared[:])
        return float(seconds)

    def now(self) -> datetime:
        """Return the time as a calendar shows it."""
        return _START + timedelta(seconds=self.seconds())

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._shared[:] = struct.pack("d", self.seconds() + seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let time pass unless the event has come."""
        if not event.is_set():
            self.sleep(seconds)
        return event.is_set()


@dataclass(frozen=True)
class Start:
    """How the program is started. `skew` is what its calendar is wrong by, in seconds.

    `killed_at`, `interrupted_at` and `paused_at` are points of its code; `room` is the size beyond which the system
    lets no file of the ledger grow, in bytes.
    """

    arguments: tuple[str, ...]
    env: dict[str, str]
    directory: str
    time: str
    skew: float = 0.0
    stdin: str = ""
    killed_at: str | None = None
    interrupted_at: str | None = None
    paused_at: str | None = None
    room: int | None = None


@dataclass
class Running:
    """A run under way, in the tests' process."""

    start: Start
    _connection: socket.socket
    _lines: Any = field(init=False)

    def __post_init__(self) -> None:
        """Send it off."""
        self._connection.settimeout(LONGEST)
        self._lines = self._connection.makefile("r", encoding="utf-8")
        self._connection.sendall(json.dumps(asdict(self.start)).encode() + b"\n")

    def pauses(self) -> bool:
        """Wait until it stands at its point, and tell; false where it ended without reaching it."""
        line = self._lines.readline()
        if line == "paused\n":
            return True
        self._ended = line
        return False

    def go_on(self) -> None:
        """Let it go on from its point."""
        self._connection.sendall(b"go\n")

    def end(self) -> Ran:
        """Wait for its end. A run that was killed has the signal's negative number for a code."""
        ended = json.loads(getattr(self, "_ended", "") or self._lines.readline())
        self._lines.close()
        self._connection.close()
        return Ran(**ended)


class Zygote:
    """Forks the program; a context manager."""

    def __init__(self, directory: Path) -> None:
        self._path = str(directory / "zygote")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", self._path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self._process.stdout is not None
        assert b"ready\n" == self._process.stdout.readline()

    def close(self) -> None:
        """End it, without waiting for a run that still stands at its point: that goes on when this process is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def begin(self, start: Start) -> Running:
        """Start a run."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        return Running(start, connection)


# --- in the zygote ---------------------------------------------------------------------------------------------------


def main() -> None:
    """Load the program, and fork a guard for each run."""
    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the guards
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(sys.argv[1])
    listening.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    # Standard input ends with the tests' process, however that ends.
    while listening in select.select([listening, sys.stdin], [], [])[0]:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _guard(connection)
            os._exit(0)
        connection.close()


def _load() -> None:
    """Import what a command would import when it runs."""
    for name in ("cli", "app.batches", "app.create", "app.orders", "app.dry_run", "api.transport"):
        importlib.import_module(f"runa_cli.{name}")


def _guard(connection: socket.socket) -> None:
    """Let a process of its own do the work, and tell how it ended once it is gone with all that it held."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    lines = connection.makefile("r", encoding="utf-8")
    start = Start(**json.loads(lines.readline()))
    out, err = (os.memfd_create(name) for name in ("out", "err"))
    worker = os.fork()
    if worker == 0:
        _work(start, connection, lines, out, err)
    _, status = os.waitpid(worker, 0)
    code = os.waitstatus_to_exitcode(status)
    ended = {"code": code, "out": _read(out), "err": _read(err)}
    connection.sendall(json.dumps(ended).encode() + b"\n")


def _read(handle: int) -> str:
    os.lseek(handle, 0, os.SEEK_SET)
    with os.fdopen(handle, "rb") as stream:
        return stream.read().decode()


def _work(start: Start, connection: socket.socket, lines: Any, out: int, err: int) -> None:
    """Be the program."""
    from runa_cli import cli
    from runa_cli.core.clock import Clock
    from runa_cli.issuing.worker_pool import WorkerPool

    def pause(_frame: FrameType, _result: Any) -> None:
        connection.sendall(b"paused\n")
        lines.readline()

    def kill(_frame: FrameType, _result: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def interrupt(_frame: FrameType, _result: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        pool = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
        if isinstance(pool, WorkerPool):
            pool.stopping.wait(
                LONGEST
            )  # the main thread notes it in its own time, and a story is to go on the same way

    stdin = os.memfd_create("in")
    os.write(stdin, start.stdin.encode())
    os.lseek(stdin, 0, os.SEEK_SET)
    for handle, number in ((stdin, 0), (out, 1), (err, 2)):
        os.dup2(handle, number)
    os.chdir(start.directory)
    os.environ.clear()
    os.environ.update(start.env)
    if start.room is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (start.room, start.room))
    points: dict[str | None, Action] = {
        start.paused_at: pause,
        start.interrupted_at: interrupt,
        start.killed_at: kill,
    }
    watch({point: action for point, action in points.items() if point is not None})
    time = SharedTime(Path(start.time))
    clock = Clock(
        seconds=time.seconds, sleep=time.sleep, wait=time.wait, jitter=lambda: 0.5,
        now=lambda: time.now() + timedelta(seconds=start.skew),
    )  # fmt: skip
    sys.argv[1:] = start.arguments
    try:
        cli.main(clock)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:  # noqa: BLE001 - what the program lets through is shown as the interpreter would show it
        sys.excepthook(*sys.exc_info())
    os._exit(1)


if __name__ == "__main__":
    main()
