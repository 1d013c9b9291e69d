"""How fast many orders are sent, and how much memory that takes."""

import math
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.benchmarks.measure import Line, Sample, best, compared, in_turns, limited
from tests.benchmarks.setting import GIFT, Bench, serving, times, write_gifts, write_workbook

LIMIT = 300  # orders a minute, the default
POST_SECONDS = 0.3
SETTLE_SECONDS = (0.4, 1, 5, 20)
THREADS = 4  # orders in flight, the default
LEAST_USED = 0.97
CPU_A_ROW = 90.0  # microseconds
GROWTH, MOST_MEMORY, MOST_WORKBOOK = 1.3, 120.0, 150.0  # MiB


def orders_a_minute(bench: Bench) -> list[Line]:
    """Measure how much of the limit is used where Runa needs its time. All four run at once: they mostly wait."""
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(POST_SECONDS, settle, LIMIT)) for settle in SETTLE_SECONDS]
        for url, settle in zip(urls, SETTLE_SECONDS, strict=True):
            stack.enter_context(_issuing(bench, url, f"minute-{settle}"))
        time.sleep(bench.size.warm_up + bench.size.counted + 2)
        return [_used(bench, url, settle) for url, settle in zip(urls, SETTLE_SECONDS, strict=True)]


@contextmanager
def _issuing(bench: Bench, url: str, name: str) -> Iterator[None]:
    """Issue more orders of two gifts than the limit allows in the time that is measured."""
    home = bench.home(name)
    orders = math.ceil((bench.size.warm_up + bench.size.counted) / 60 + 2) * LIMIT
    write_gifts(home / "gifts.csv", 2 * orders, orders=orders)
    command = bench.runa(home, *_create("gifts.csv"), "-q", url=url)
    env = {"PATH": os.environ["PATH"], "HOME": str(home), **command.env}
    with subprocess.Popen(command.arguments, env=env, cwd=home, stdout=subprocess.DEVNULL) as running:
        yield
        running.send_signal(signal.SIGKILL)


def _used(bench: Bench, url: str, settle: float) -> Line:
    seen = times(url)
    start = min(seen["posts"], default=0.0) + bench.size.warm_up
    counted = sum(start <= arrived < start + bench.size.counted for arrived in seen["posts"])
    rate = counted / bench.size.counted * 60
    return Line(
        f"orders a minute, completed after {settle:g} s",
        f"{rate:.0f} a minute, {seen['refused']} answers of 429",
        f"{LIMIT} a minute",
        f"{rate / LIMIT:.0%}",
        f"at least {LEAST_USED:.0%}, no 429",
        rate >= LEAST_USED * LIMIT and not seen["refused"],
    )


def many_rows(bench: Bench) -> list[Line]:
    """Compare a large file with a thread pool that posts ready-made bodies, at a server that answers at once."""
    rows, bodies = bench.size.rows, bench.directory / "bodies"
    file = write_gifts(bench.directory / "rows.csv", rows)
    with serving() as url:
        first = _issue(bench, url, file, "rows-0")
        _write_bodies(bench.home("rows-0"), bodies)
        floor = bench.floor("post_all", f"{url}/order", str(bodies), str(THREADS))
        runs, floor_runs = in_turns(
            bench.size.turns,
            lambda number: _issue(bench, url, file, f"rows-{number}") if number > 1 else first,
            lambda _: floor.run(),
            warm=False,
        )
    cpu = best(runs, lambda it: it.cpu) / rows * 1e6
    return [
        compared(f"{rows:,} rows, against a thread pool with ready bodies", runs, floor_runs, 5),
        limited(f"CPU a row, {rows:,} rows", cpu, CPU_A_ROW, "µs"),
    ]


def memory(bench: Bench) -> list[Line]:
    """Compare the peak of memory with large files with that of a small one."""
    size = bench.size
    with serving() as url:
        small, large, huge = (
            _issue(bench, url, write_gifts(bench.directory / f"{rows}.csv", rows), f"memory-{rows}").peak
            for rows in (size.small_file, size.rows, size.huge_file)
        )
        workbook = _issue(bench, url, write_workbook(bench.directory / f"{size.rows}.csv"), "memory-workbook").peak
    floor = f"{small:.0f} MiB"
    lines = []
    for rows, peak in ((size.rows, large), (size.huge_file, huge)):
        growth = peak / small
        what, target = f"peak memory, {rows:,} rows, against {size.small_file:,}", f"{GROWTH:g} x, {MOST_MEMORY:g} MiB"
        met = growth <= GROWTH and peak <= MOST_MEMORY
        lines.append(Line(what, f"{peak:.0f} MiB", floor, f"{growth:.2f}", target, met))
    return [*lines, limited(f"peak memory, {size.rows:,} rows of a workbook", workbook, MOST_WORKBOOK, "MiB")]


def _issue(bench: Bench, url: str, file: Path, home: str) -> Sample:
    return bench.runa(bench.home(home), *_create(str(file)), "--rate-limit", "0", "-q", "-o", "links", url=url).run()


def _create(file: str) -> Sequence[str]:
    return ("order", "create", "--file", file, "--no-preflight", *GIFT[-2:])


def _write_bodies(home: Path, to: Path) -> None:
    """Write the bodies that the program has sent, one a line."""
    with closing(sqlite3.connect(home / ".local/share/runa/ledger.db")) as ledger, to.open("wb") as file:
        for (body,) in ledger.execute("SELECT body FROM purchase ORDER BY id"):
            file.write(body + b"\n")
