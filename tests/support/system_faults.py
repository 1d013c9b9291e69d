"""A computer that fails: disks that are full or cannot be written, system calls that go wrong, clocks that jump.

Every fault is the system's own. A test that needs what this machine does not allow is skipped and says why.
"""

import ctypes
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import pytest

from tests.support.ran import LONGEST


def needs(tool: str) -> pytest.MarkDecorator:
    """Return the mark of a test that needs a program of the system."""
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


def wait_until_main_thread_is_in(function: str) -> None:
    """Wait until the main thread is at work or asleep in a function of that name."""
    while not any(frame.f_code.co_name == function for frame in _main_stack()):
        time.sleep(0.001)


def _main_stack() -> Iterator[FrameType]:
    main = threading.main_thread().ident
    assert main is not None
    frame: FrameType | None = sys._current_frames()[main]
    while frame is not None:
        yield frame
        frame = frame.f_back


def signal_another_thread(running: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Hand a signal to a thread of a running program that is not its main thread, as the system itself may."""
    try:
        tgkill = ctypes.CDLL(None).tgkill
    except AttributeError:
        pytest.skip("this system's C library cannot address a thread")
    while not (others := [int(task.name) for task in Path(f"/proc/{running.pid}/task").iterdir()][1:]):
        time.sleep(0.001)
    assert 0 == tgkill(running.pid, others[0], number)


@functools.cache
def _new_mounts() -> tuple[str, ...] | None:
    """Return how a process gets mounts of its own here, as root or in a name space of users; None where it cannot."""
    for options in (("--mount",), ("--user", "--map-root-user", "--mount")):
        try:
            tried = subprocess.run(
                ["unshare", *options, "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, check=False
            )
        except OSError:
            return None
        if tried.returncode == 0:
            return options
    return None


class Disk:
    """A small file system at `path`, which only the commands `inside` see; a context manager."""

    def __init__(self, path: Path, kilobytes: int) -> None:
        options = _new_mounts()
        if options is None:
            pytest.skip("this system allows no mounts, neither by root nor in a name space of users")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._space = [*(["--user", "--preserve-credentials"] if "--user" in options else []), "--mount"]
        self._shell = subprocess.Popen(
            ["unshare", *options, "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        self.do(f"mount -t tmpfs -o mode=700,size={kilobytes}k none '{path}'")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shell.communicate(timeout=LONGEST)

    def remount(self, options: str) -> None:
        """Change its size, or whether it can be written."""
        self.do(f"mount -o remount,{options} '{self._path}'")

    def do(self, command: str) -> None:
        """Run a command of the shell where the disk is seen, which must succeed."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {command}; }} >&2 && echo done || echo failed\n")
        self._shell.stdin.flush()
        assert "done\n" == self._shell.stdout.readline(), command

    def inside(self, command: Sequence[str], home: Path) -> list[str]:
        """Return the command line that runs a command where the disk is seen."""
        return ["nsenter", f"--target={self._shell.pid}", *self._space, f"--wdns={home}", *command]

    def seen(self, path: Path) -> Path:
        """Return where this process finds a file of the disk."""
        return Path(f"/proc/{self._shell.pid}/root{path}")


def without_privileges(command: Sequence[str]) -> list[str]:
    """Return the command line under which permissions bind root too."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]


def tampered(command: Sequence[str], calls: str, result: str) -> list[str]:
    """Return the command line under which these system calls end with `error=NAME` or `retval=NUMBER`."""
    return [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={calls}",
        "-e",
        f"inject={calls}:{result}",
        *command,
    ]


def tamper(running: "subprocess.Popen[str]", calls: str, result: str) -> "subprocess.Popen[str]":
    """Let the system calls of a running process end so from now on; returns what has to be waited for after it."""
    watching = subprocess.Popen(
        [argument for argument in tampered(["-p", str(running.pid)], calls, result) if argument != "-qq"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watching.stderr is not None
    said = watching.stderr.readline()
    if "attached" not in said:
        watching.communicate()
        running.kill()
        running.communicate()
        pytest.skip(f"this system lets no process watch another: {said.strip()}")
    return watching
