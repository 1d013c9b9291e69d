"""What a ledger with a million orders costs, and what lists of it cost."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.measure import (
    Command,
    Line,
    TooLong,
    Unmeasurable,
    best,
    compared,
    failed,
    in_turns,
    seconds,
    unmeasured,
)
from tests.benchmarks.setting import GIFT, HERE, Bench, serving, write_gifts

TIMES_EMPTY = 1.2
FIRST_LINE, MOST_MEMORY = 1.0, 120.0  # seconds and MiB
LONGEST_LIST = 300.0  # seconds
LONGEST_REPORT = 2.0
REPORTS = (
    *(("spend", "--by", by) for by in ("month", "week", "day", "batch", "product", "currency", "user")),
    ("recipients",),
    ("recipients", "--threshold", "600 USD"),
)
ENDS_SOON = 5.0
NAME, BATCH_ROWS = "bench", 1000

Arguments = Callable[[int], Sequence[str]]


def large_ledger(bench: Bench) -> list[Line]:
    """Compare a ledger with a million orders with one with a few."""
    with serving() as url:
        homes = _large(bench, url), _started(bench, url, "empty")
        orders = f"{bench.size.ledger_orders:,} orders, against an empty ledger"
        return [
            _compared(bench, f"create of one order, {orders}", homes, url, _one),
            _files(bench, f"create of {bench.size.small_file:,} rows, {orders}", homes[0], url),
            _compared(bench, f"refusal of a duplicate, {orders}", homes, url, _refused, codes=(6,)),
            _compared(bench, f"batch show, {orders}", homes, url, lambda _: ("batch", "show", NAME)),
            _compared(bench, f"batch export, {orders}", homes, url, lambda _: ("batch", "export", NAME)),
        ]


def lists(bench: Bench) -> list[Line]:
    """Measure when the first line of a list comes, or of a prune, with a million orders, and the memory."""
    with serving() as url:
        home = _large(bench, url)
    commands = [
        ("batch list", ("batch", "list"), "made-up"),
        ("batch list --all", ("batch", "list", "--all"), "made-up"),
        ("gift list --search", ("gift", "list", "--search", "made-up77@"), "made-up77@"),
        ("batch prune, old batches", ("batch", "prune", "--yes"), "pruned: "),
        ("batch prune, no old batches", ("batch", "prune", "--yes"), "No settled batch"),
    ]
    return [_list(bench, home, *command) for command in commands]


def reports(bench: Bench) -> list[Line]:
    """Measure how long reports on a million gifts take."""
    with serving() as url:
        home = _large(bench, url)
    return [_report(bench, home, arguments) for arguments in REPORTS]


def _report(bench: Bench, home: Path, arguments: Sequence[str]) -> Line:
    runs = in_turns(bench.size.turns, lambda _: bench.runa(home, "report", *arguments, "-o", "csv").run())[0]
    wall, peak = best(runs, lambda it: it.wall), best(runs, lambda it: it.peak)
    return Line(
        f"report {' '.join(arguments)}, {bench.size.ledger_orders:,} gifts",
        f"{seconds(wall)} (CPU {seconds(best(runs, lambda it: it.cpu))}), {peak:.0f} MiB",
        "",
        "",
        f"{LONGEST_REPORT:g} s, {MOST_MEMORY:g} MiB",
        wall <= LONGEST_REPORT and peak <= MOST_MEMORY,
    )


def _list(bench: Bench, home: Path, name: str, arguments: Sequence[str], expected: str) -> Line:
    """Measure a command that shows something, one that ends soon and changes nothing as often as others that do."""
    what, limit = f"{name}, {bench.size.ledger_orders:,} orders", f"{FIRST_LINE:g} s, {MOST_MEMORY:g} MiB"
    command = replace(bench.runa(home, *arguments), codes=(0, 2), seconds=LONGEST_LIST)
    try:
        run = command.run()
        if run.wall < ENDS_SOON and arguments[1] == "list":
            run = min([run, *(command.run() for _ in range(bench.size.turns - 1))], key=lambda each: each.first)
    except TooLong as error:
        return failed(what, error, limit)
    if not run.code and expected not in run.out + run.err:
        raise Unmeasurable(f"{name} did not show {expected!r}")
    if run.code == 2:
        return unmeasured(what, run.err.strip().partition("\n")[0])
    measured = f"first line after {run.first:.2f} s, {run.peak:.0f} MiB, ended after {run.wall:.1f} s"
    return Line(what, measured, "", "", limit, run.first <= FIRST_LINE and run.peak <= MOST_MEMORY)


def _large(bench: Bench, url: str) -> Path:
    """Return the home of the large ledger, which is made once."""
    home = bench.directory / "large"
    if home.exists():
        return home
    bench.home("large")
    address = "template@example.com"
    bench.runa(home, "order", "create", *GIFT, "--email", address, "-q", url=url).run()
    ledger = home / ".local/share/runa/ledger.db"
    command = [sys.executable, str(HERE / "large_ledger.py"), str(ledger), str(bench.size.ledger_orders), address]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]})
    return _started(bench, url, "large")


def _started(bench: Bench, url: str, name: str) -> Path:
    """Return a home from which the gift that will be refused and the batch that will be shown are issued."""
    home = bench.home(name)
    for file, rows, batch in (("refused.csv", 1, ()), ("batch.csv", BATCH_ROWS, ("--batch", NAME, "--no-lookup"))):
        write_gifts(home / file, rows, first=10**9 + rows)
        bench.runa(home, *_create(file), *batch, url=url).run()
    return home


def _compared(
    bench: Bench, what: str, homes: tuple[Path, Path], url: str, arguments: Arguments, *, codes: Sequence[int] = (0,)
) -> Line:
    large, empty = homes

    def command(home: Path, number: int) -> Command:
        return bench.runa(home, *arguments(number), url=url, codes=codes)

    turns = bench.size.starts // 2 + 1
    runs, floor = in_turns(turns, lambda it: command(large, it).run(), lambda it: command(empty, it).run())
    return compared(what, runs, floor, TIMES_EMPTY)


def _files(bench: Bench, what: str, large: Path, url: str) -> Line:
    """Compare the create of a file; each is issued from a new empty ledger too."""
    rows = bench.size.small_file

    def create(home: Path, number: int) -> Command:
        file = write_gifts(bench.directory / f"file-{number}.csv", rows, first=10**8 + number * rows)
        return bench.runa(home, *_create(str(file)), "--rate-limit", "0", "-q", "-o", "links", url=url)

    runs, floor = in_turns(
        bench.size.turns,
        lambda it: create(large, it).run(),
        lambda it: create(bench.home(f"new-{it}"), it).run(),
        warm=False,
    )
    return compared(what, runs, floor, TIMES_EMPTY)


def _one(number: int) -> Sequence[str]:
    return ("order", "create", *GIFT, "--email", f"one{number}@example.com", "-o", "links")


def _refused(_: int) -> Sequence[str]:
    return _create("refused.csv")


def _create(file: str) -> Sequence[str]:
    return ("order", "create", "--file", file, "--no-preflight", *GIFT[-2:])
