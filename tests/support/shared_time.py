"""A clock that several processes share; a sleep moves it forward at once instead of waiting."""

import mmap
import os
import struct
import threading
import time
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from runa_cli.core.clock import Clock
from runa_cli.emulator.server import Emulator

START = datetime(2026, 1, 2, 12, tzinfo=UTC)


class SharedTime:
    """The real time plus all that was slept, in memory that other processes can be handed by its file descriptor.

    A frozen one moves only when somebody sleeps, so that a test does the same each time.
    """

    def __init__(self, descriptor: int | None = None, *, frozen: bool = False) -> None:
        self.descriptor = os.memfd_create("time") if descriptor is None else descriptor
        weakref.finalize(self, os.close, self.descriptor)
        os.ftruncate(self.descriptor, 8)
        self._slept = mmap.mmap(self.descriptor, 8)
        self._lock = threading.Lock()
        self.frozen = frozen

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """Return a frozen one in a new file, which a server can read that is not started from here."""
        return cls(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), frozen=True)

    def slept(self) -> float:
        """Return how many seconds have been slept so far."""
        (seconds,) = struct.unpack("d", self._slept[:])
        return float(seconds)

    def seconds(self) -> float:
        """Return seconds from some fixed moment."""
        return self.slept() + (0.0 if self.frozen else time.monotonic())

    def now(self) -> datetime:
        """Return the current date and time (UTC)."""
        return (START if self.frozen else datetime.now(UTC)) + timedelta(seconds=self.slept())

    def sleep(self, seconds: float) -> None:
        """Move the time forward."""
        with self._lock:
            self._slept[:] = struct.pack("d", self.slept() + seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Move the time forward unless the event is set, and tell whether it is."""
        if not event.is_set():
            self.sleep(seconds)
        return event.is_set()

    def clock(self, **parts: Any) -> Clock:
        """Return this time as the program's clock; `parts` replace some of its functions."""
        return Clock(**{
            "seconds": self.seconds, "sleep": self.sleep, "wait": self.wait, "now": self.now, **parts
        })  # fmt: skip


class EmulatorOnSharedTime(Emulator):
    """An emulator that reads the same time as the program."""

    def __init__(self, path: Path, shared: SharedTime, **options: Any) -> None:
        super().__init__(path, **options)
        self.time = shared

    def pause(self, seconds: float) -> None:
        """Wait; once pauses are cut short, the rest of the time passes at once."""
        until = time.monotonic() + seconds
        super().pause(seconds)
        self.time.sleep(max(0.0, until - time.monotonic()))

    def now(self) -> datetime:
        """Return the time on the emulator's clock, in UTC."""
        return self.time.now() + self._faults.ahead
