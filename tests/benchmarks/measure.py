"""Runs a command and its floor in turns, and makes a line of the table of what that took."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer

LONGEST = 1800.0  # seconds after which a run is given up


class Unmeasurable(Exception):
    """A benchmark that cannot be run here, and why."""


class TooLong(Exception):
    """A run that was given up."""


@dataclass(frozen=True)
class Sample:
    """One run: seconds until it ended and until its first output, seconds of CPU, MiB of memory at its peak."""

    wall: float
    first: float
    cpu: float
    peak: float
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Command:
    """A command to measure; `codes` are the exit codes with which it has done what was wanted of it."""

    arguments: Sequence[str]
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    codes: Sequence[int] = (0,)
    seconds: float = LONGEST

    def run(self) -> Sample:
        """Run it with nothing in its environment but what is given.

        The output is read, so that nothing waits, and its last 64 KiB are kept. Raises TooLong where it takes longer
        than `seconds`, and Unmeasurable where it fails.
        """
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.env}
        with TemporaryFile() as errors:
            started = time.perf_counter()
            running = subprocess.Popen(
                self.arguments, env=env, cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
            assert running.stdout is not None
            end = Timer(self.seconds, running.kill)
            end.start()
            out, first = b"", 0.0
            while block := os.read(running.stdout.fileno(), 65_536):
                first = first or time.perf_counter() - started
                out = (out + block)[-65_536:]
            _, status, used = os.wait4(running.pid, 0)
            end.cancel()
            wall = time.perf_counter() - started
            running.returncode = os.waitstatus_to_exitcode(status)
            running.stdout.close()
            errors.seek(0)
            err = errors.read().decode(errors="replace")
        sample = Sample(
            wall, first or wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, running.returncode,
            out.decode(errors="replace"), err,
        )  # fmt: skip
        if sample.code == -signal.SIGKILL and wall >= self.seconds:
            raise TooLong(f"more than {self.seconds:g} s")
        if sample.code not in self.codes:
            raise Unmeasurable(f"exit code {sample.code}: {(err or sample.out).strip().splitlines()[:1]}")
        return sample


def own_peak() -> float:
    """Return the memory of this process at its peak, in MiB.

    Linux counts it for a process that is started from here too, so nothing smaller can be measured.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def best(samples: Sequence[Sample], of: Callable[[Sample], float]) -> float:
    """Return the least of a figure: what other processes of the machine added to it is noise."""
    return min(of(sample) for sample in samples)


Step = Callable[[int], Sample]


def in_turns(repetitions: int, *steps: Step, warm: bool = True) -> list[list[Sample]]:
    """Run the steps in turns, `warm` after once without measuring; a step gets the number of its repetition, from 0."""
    samples: list[list[Sample]] = [[] for _ in steps]
    for step in steps if warm and repetitions > 1 else ():
        step(0)
    for number in range(1, repetitions + 1):
        for step, taken in zip(steps, samples, strict=True):
            taken.append(step(number))
    return samples


@dataclass(frozen=True)
class Line:
    """A line of the table. `met` is None where there is nothing to be met."""

    what: str
    measured: str
    floor: str
    ratio: str
    target: str
    met: bool | None

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        met = "" if self.met is None else "yes" if self.met else "NO"
        return [self.what, self.measured, self.floor, self.ratio, self.target, met]


def compared(
    what: str, samples: Sequence[Sample], floor: Sequence[Sample], target: float, *, by_cpu: bool = False
) -> Line:
    """Return the line of a command that may take at most `target` times as long as its floor.

    That is judged on the clock; by CPU for what waits for nothing, because other processes delay it on the clock.
    """
    wall, cpu = best(samples, lambda it: it.wall), best(samples, lambda it: it.cpu)
    floor_wall, floor_cpu = best(floor, lambda it: it.wall), best(floor, lambda it: it.cpu)
    ratio, cpu_ratio = wall / floor_wall, cpu / max(floor_cpu, 0.001)
    return Line(
        what,
        f"{seconds(wall)} (CPU {seconds(cpu)})",
        f"{seconds(floor_wall)} (CPU {seconds(floor_cpu)})",
        f"{ratio:.2f} (CPU {cpu_ratio:.2f})",
        f"{target:g} x CPU" if by_cpu else f"{target:g} x",
        (cpu_ratio if by_cpu else ratio) <= target,
    )


def limited(what: str, value: float, limit: float, unit: str, *, floor: str = "", ratio: str = "") -> Line:
    """Return the line of a figure that may be at most `limit`."""
    return Line(what, f"{value:.3g} {unit}", floor, ratio, f"{limit:g} {unit}", value <= limit)


def failed(what: str, why: object, limit: str) -> Line:
    """Return the line of what took too long to be measured."""
    return Line(what, str(why), "", "", limit, met=False)


def unmeasured(what: str, why: object) -> Line:
    """Return the line of what could not be measured."""
    return Line(what, f"not measured: {why}", "", "", "", None)


def seconds(value: float) -> str:
    """Return seconds as they are read most easily."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def table(lines: Sequence[Line]) -> str:
    """Return the lines as a Markdown table, which a `|` in a cell would break."""
    rows: list[list[str]] = [
        ["what", "measured", "floor", "ratio", "at most", "met"],
        *(line.cells() for line in lines),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(_padded, row, widths)) + " |" for row in rows)


def _padded(cell: str, width: int) -> str:
    return cell.ljust(width)
