"""A process that has the program loaded and forks for each run of it, so that a run costs milliseconds.

A run is the whole program in a process of its own, from its arguments to its exit code, with the streams, environment
and directory that a test gives it. It can be killed, its files can be limited in size, and a second run is a second
process. Two things are not as in a process that was started anew: the modules are imported already, and time passes
by a clock of the tests. What is about either of them needs a real process.
"""

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cache
from types import FrameType
from typing import Any, NoReturn

import runa_cli
from runa_cli.core.clock import REAL, Clock
from tests.support.code_points import Action, fail, kill, watch
from tests.support.ran import LONGEST, ROOT, Ran
from tests.support.shared_time import SharedTime

_PIPE_BYTES = 65536  # what a pipe takes without a reader
# What the interpreter or a library reads only once, when it starts or is imported.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OPENSSL_", "SSL_", "REQUESTS_CA_", "CURL_CA_")
# What a command imports when it needs it.
_IMPORTED_LATER = (
    "email_validator", "encodings.idna", "encodings.punycode", "encodings.utf_16", "requests", "rich.live",
    "rich.progress", "rich.table", "stringprep", "typer.rich_utils", "urllib3.contrib.socks",
)  # fmt: skip


@dataclass(frozen=True)
class Start:
    """How the program is started.

    Time is the tests' own unless `real_time`, and `frozen` where it does not pass by itself; `skew` is what the
    program's calendar is wrong by, in seconds. `killed_at`, `fails_at`, `interrupted_at` (by Ctrl-C) and `paused_at`
    are points of its code. No file may grow beyond `largest_file` bytes. `new_session` takes the terminal away, and
    of the standard streams 0, 1 and 2 those in `closed` are closed.
    """

    arguments: tuple[str, ...]
    env: dict[str, str]
    directory: str
    real_time: bool = False
    frozen: bool = False
    skew: float = 0.0
    jitter: float | None = None
    killed_at: str | None = None
    fails_at: str | None = None
    interrupted_at: str | None = None
    paused_at: str | None = None
    largest_file: int | None = None
    new_session: bool = False
    closed: tuple[int, ...] = ()


def needs_a_new_process(env: Iterable[str]) -> bool:
    """Tell whether one of these variables acts only where the interpreter itself is started."""
    return any(name.startswith(_READ_AT_START) for name in env)


class Running:
    """A run under way, in the tests' process; its output is read here unless it was given somewhere to go."""

    def __init__(self, start: Start, *, time: SharedTime, send: Callable[[list[int]], None], stdin: str | int,
                 stdout: int | None, stderr: int | None) -> None:  # fmt: skip
        self.start = start
        self._connection, theirs = socket.socketpair()
        self._read: dict[int, bytearray] = {}
        self._write: dict[int, memoryview] = {}
        self._lines = bytearray()
        self._out, self._err = bytearray(), bytearray()
        given = [self._input(stdin), self._output(stdout, self._out), self._output(stderr, self._err)]
        send([theirs.fileno(), time.descriptor, *(descriptor for descriptor, _ in given)])
        theirs.close()
        for descriptor, ours in given:
            if ours:
                os.close(descriptor)
        self._connection.sendall(json.dumps(asdict(start)).encode() + b"\n")

    def _input(self, stdin: str | int) -> tuple[int, bool]:
        if isinstance(stdin, int):
            return stdin, False
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        self._write[writer] = memoryview(stdin.encode())
        self._feed(writer)
        return reader, True

    def _output(self, stream: int | None, collected: bytearray) -> tuple[int, bool]:
        if stream is not None:
            return stream, False
        reader, writer = os.pipe()
        self._read[reader] = collected
        return writer, True

    def pauses(self) -> bool:
        """Wait until the run is paused at its point; False if it ended without reaching it."""
        line = self._next_line()
        if line == b"paused":
            return True
        self._lines[:0] = line + b"\n"
        return False

    def go_on(self) -> None:
        """Continue a paused run."""
        self._connection.sendall(b"go\n")

    def end(self) -> Ran:
        """Wait for its end."""
        code = int(self._next_line())
        while self._read:
            self._wait_for_something()
        for writer in list(self._write):
            self._close(writer)
        self._connection.close()
        return Ran(code, self._out.decode(), self._err.decode())

    def _next_line(self) -> bytes:
        while b"\n" not in self._lines:
            self._wait_for_something()
        line, _, rest = self._lines.partition(b"\n")
        self._lines = rest
        return bytes(line)

    def _wait_for_something(self) -> None:
        """Read what the run has written, and write what it reads."""
        connection = self._connection.fileno()
        readable, writable, _ = select.select([connection, *self._read], list(self._write), [], LONGEST)
        if not readable and not writable:
            raise TimeoutError(f"{self.start.arguments} does not end")
        for source in readable:
            if source == connection:
                self._lines += self._connection.recv(_PIPE_BYTES)
            elif piece := os.read(source, _PIPE_BYTES):
                self._read[source] += piece
            else:
                del self._read[source]
                os.close(source)
        for writer in writable:
            self._feed(writer)

    def _feed(self, writer: int) -> None:
        with suppress(BlockingIOError):
            try:
                while self._write[writer]:
                    self._write[writer] = self._write[writer][os.write(writer, self._write[writer][:_PIPE_BYTES]) :]
            except BrokenPipeError:  # it reads no more
                pass
            self._close(writer)

    def _close(self, writer: int) -> None:
        del self._write[writer]
        os.close(writer)


class ForkServer:
    """Forks the program."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
            stdin=subprocess.DEVNULL, cwd=ROOT, env={"PATH": os.environ["PATH"]}, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()

    def close(self) -> None:
        """End the server. A run that is still paused is not waited for."""
        self._control.close()
        self._process.wait()

    def begin(self, start: Start, time: SharedTime, *, stdin: str | int = "", stdout: int | None = None,
              stderr: int | None = None) -> Running:  # fmt: skip
        """Start a run. What it writes is collected, unless it is given file descriptors for it."""
        return Running(start, time=time, send=self._send, stdin=stdin, stdout=stdout, stderr=stderr)

    def _send(self, descriptors: list[int]) -> None:
        socket.send_fds(self._control, [b"x"], descriptors)


@cache
def fork_server() -> ForkServer:
    """Return the fork server of this process, which ends with it."""
    server = ForkServer()
    atexit.register(server.close)
    return server


# --- in the fork server ----------------------------------------------------------------------------------------------


def main() -> None:
    """Load the program, and fork for each run."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _load()
    runs: dict[int, tuple[int, socket.socket]] = {}  # by a descriptor that is readable once the process has ended
    while True:
        readable, _, _ = select.select([control.fileno(), *runs], [], [])
        for source in readable:
            if source in runs:
                _report_the_end(source, *runs.pop(source))
                continue
            message, descriptors, _, _ = socket.recv_fds(control, 1, 8)
            if not message:  # the tests have ended
                return
            connection = socket.socket(fileno=descriptors[0])
            lines = connection.makefile("r", encoding="utf-8")
            start = Start(**json.loads(lines.readline()))
            worker = os.fork()
            if worker == 0:
                control.close()
                for watching, (_, other) in runs.items():
                    os.close(watching)
                    other.close()
                _exit(lambda: _run(start, connection, lines, descriptors[1], descriptors[2:]))  # noqa: B023 - now
            lines.close()
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            runs[os.pidfd_open(worker)] = (worker, connection)


def _load() -> None:
    """Import what a command would import when it runs."""
    for module in pkgutil.walk_packages(runa_cli.__path__, "runa_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _IMPORTED_LATER:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or else the first collection would copy every page


def _report_the_end(watching: int, worker: int, connection: socket.socket) -> None:
    os.close(watching)
    _, status = os.waitpid(worker, 0)
    with suppress(OSError):  # nobody waits for it any more
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    connection.close()


def _run(start: Start, connection: socket.socket, lines: Any, shared: int, streams: list[int]) -> None:
    """Run the program in this process."""
    from runa_cli import cli

    if start.new_session:
        os.setsid()
    _take_streams(streams)
    _close_streams(start.closed)
    _take_environment(start.env)
    os.chdir(start.directory)
    if start.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (start.largest_file, start.largest_file))
    _watch_points(start, connection, lines)
    sys.argv[:] = [str(ROOT / "runa_cli/__main__.py"), *start.arguments]
    cli.main(None if start.real_time else _clock(start, SharedTime(shared, frozen=start.frozen)))


def _exit(run: Callable[[], None]) -> NoReturn:
    """Run, and end the process as the interpreter does, without freeing each object, which would take the most time."""
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else end.code is not None
    except BaseException:  # noqa: BLE001 - what the program lets through is shown as the interpreter would show it
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined] # waits for all threads that are no daemons
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError as error:
            code = 120
            sys.stderr.write(f"Exception ignored in {stream}: {error}\n")
    os._exit(code)


def _take_streams(streams: list[int]) -> None:
    """Make these the standard streams, as the interpreter makes them when it starts."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    encoding, errors = sys.__stdout__.encoding, sys.__stdout__.errors or "strict"  # type: ignore[union-attr] # it is open
    sys.stdin = sys.__stdin__ = io.open(0, encoding=encoding, errors=errors, closefd=False)  # type: ignore[misc] # noqa: SIM115, UP020
    sys.stdout = sys.__stdout__ = io.open(1, "w", encoding=encoding, errors=errors, closefd=False)  # type: ignore[misc] # noqa: SIM115, UP020
    sys.stderr = sys.__stderr__ = io.open(2, "w", 1, encoding, "backslashreplace", closefd=False)  # type: ignore[misc] # noqa: SIM115, UP020


def _close_streams(numbers: Iterable[int]) -> None:
    """Close standard streams; the interpreter has None for those that are closed when it starts."""
    for number in numbers:
        os.close(number)
        name = ("stdin", "stdout", "stderr")[number]
        setattr(sys, name, None)
        setattr(sys, f"__{name}__", None)


def _take_environment(env: dict[str, str]) -> None:
    # Where no locale is set, the interpreter itself sets one when it starts.
    own = {name: os.environ[name] for name in ("LC_CTYPE",) if name in os.environ}
    os.environ.clear()
    os.environ.update(own | env)
    time.tzset()


def _clock(start: Start, shared: SharedTime) -> Clock:
    """Return the clock of a run; an emulator that it starts reads the same."""
    from runa_cli.emulator.server import Emulator

    fixed = start.jitter
    jitter = REAL.jitter if fixed is None else lambda: fixed
    clock = shared.clock(jitter=jitter, now=lambda: shared.now() + timedelta(seconds=start.skew))
    setattr(Emulator, "now", lambda emulator: clock.now() + emulator._faults.ahead)  # noqa: B010 - for want of a parameter
    return clock


def _watch_points(start: Start, connection: socket.socket, lines: Any) -> None:
    def pause(_frame: FrameType, _result: Any) -> None:
        connection.sendall(b"paused\n")
        lines.readline()

    points: dict[str | None, Action] = {
        start.paused_at: pause, start.interrupted_at: _interrupt, start.fails_at: fail, start.killed_at: kill
    }  # fmt: skip
    if wanted := {point: action for point, action in points.items() if point is not None}:
        watch(wanted)


def _interrupt(_frame: FrameType, _result: Any) -> None:
    from runa_cli.issuing.worker_pool import WorkerPool

    signal.raise_signal(signal.SIGINT)
    pool = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if isinstance(pool, WorkerPool):
        pool.stopping.wait(
            LONGEST
        )  # the main thread notes it in its own time, and a run is to go the same way each time


if __name__ == "__main__":
    main()
