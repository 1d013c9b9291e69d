"""The kill harness: the real program is killed with SIGKILL, started again until it is done, and then counted.

`python -m tests.crash --kills 500` does so to single orders, orders of several gifts and batches, with a new ledger and
with one in use: just before the calls by which the program changes the disk, talks to Runa or shows something, one
after the other, and at random instants. Where there are more such boundaries than kills for them, those come first at
which one kind of call follows another; `--every` leaves none out. Resumed runs are often killed too. `--rows 10000`
takes one large batch instead.

`python -m tests.crash --errors` breaks the disk instead: full from each boundary on that needs room, broken at each
fsync. The program must tell the truth about the money, and finish when the disk works again.

With `--ledger postgresql` the ledger is on a server that is started for it, a database for each case; `--errors` also
cuts the connection to it just before each call that sends or receives something on it.

As many cases run at a time as there are processors, each with an emulator and a home of its own. The exit code is 1,
and the faults are listed, if a gift is missing, doubled or under another recipient, or a run ends as it should not.
"""

import argparse
import itertools
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from runa_cli.emulator.server import Emulator
from tests.support import faultpoints, postgres
from tests.support.faultpoints import NEVER, Boundary, Kind, edges, evenly
from tests.support.kill_cases import Case, Count, Scenario, both
from tests.support.postgres import Database, Server
from tests.support.program import GIFT, KEY, Program

AT_BOUNDARIES = 0.5  # of the wanted kills; the others are for runs that go on, and for random instants
KILLED_AGAIN = 0.4  # how likely a resumed run is killed too
FAULTS_ENOUGH = 20
PROCESSING_SECONDS = 0.05  # over at the first poll, so that a run comes to the same boundaries each time
SCENARIOS = (*both("one gift", 1), *both("one order of three gifts", 3), *both("batch of four orders", 8, 4))

A = TypeVar("A")
B = TypeVar("B")


@dataclass
class UndisturbedRun:
    """How a run goes that nothing happens to: its boundaries, and the seconds from its start to the first and last."""

    scenario: Scenario
    boundaries: Sequence[Boundary]
    first: float
    last: float

    def measured(self, seconds: float) -> None:
        """Learn that a whole run took less than that: the machine was busier when the first one was measured."""
        self.first, self.last = self.first * seconds / self.last, seconds


@dataclass
class Harness:
    """Where cases are made, several at a time: a directory, the built shim, and a ledger that is in use.

    `server` is where the ledgers are, if they are on one; `unused` and `used` are copied for each case then.
    """

    directory: Path
    library: Path
    workers: int = 1
    server: Server | None = None
    unused: Database | None = None
    used: Database | None = None
    count: Count = field(default_factory=Count)
    by_scenario: dict[Scenario, Count] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)  # of calls that runs make to which nothing happens
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def build(cls, directory: Path, *, workers: int = 1, server: Server | None = None) -> "Harness":
        """Build the shim and the ledger in use."""
        harness = cls(directory, faultpoints.build(directory), workers, server)
        if server:
            harness.unused, harness.used = server.database(), server.database()
        home = directory / "used"
        home.mkdir()
        with Emulator(directory / "used.db") as emulator:
            ran = program_at(emulator, home, harness.used)(*GIFT)
        if ran.code != 0:
            raise RuntimeError(f"the ledger in use could not be made: {ran.err}")
        return harness

    @contextmanager
    def case(self, scenario: Scenario) -> Iterator[Case]:
        """Make a case, and add up what it came to."""
        with (
            tempfile.TemporaryDirectory(dir=self.directory) as directory,
            Emulator(Path(directory) / "account.db", processing_seconds=PROCESSING_SECONDS) as emulator,
            self._database(scenario) as database,
        ):
            home = Path(directory) / "home"
            home.mkdir()
            if scenario.used:
                shutil.copytree(self.directory / "used/.local", home / ".local")
            port = self.server.port if self.server else None
            case = Case(scenario, program_at(emulator, home, database), emulator, self.library, port)
            try:
                yield case
            except ValueError as error:  # what should be JSON is none
                case.fault(f"showed what cannot be read: {error}")
        with self._lock:
            for count in (self.count, self.by_scenario.setdefault(scenario, Count())):
                count.add(case.count)

    @contextmanager
    def _database(self, scenario: Scenario) -> Iterator[Database | None]:
        """Make the database of a case, if it needs one."""
        original = self.used if scenario.used else self.unused
        if self.server is None or original is None:
            yield None
            return
        with self._lock:  # the server makes one copy of a database at a time
            database = self.server.copy(original)
        try:
            yield database
        finally:
            self.server.drop(database)

    def undisturbed_run(self, scenario: Scenario, kind: Kind) -> UndisturbedRun:
        """Return how a run goes, and where that kind of fault can hit it. Raises NotObserved."""
        with self.case(scenario) as case:
            started = time.monotonic()
            _, boundaries = case.watch(kind)
            case.finish()
        faultpoints.check(boundaries, kind, on_server=self.server is not None)
        self.kinds.update(boundary.name for boundary in boundaries)
        return UndisturbedRun(scenario, boundaries, boundaries[0].seconds - started, boundaries[-1].seconds - started)

    def each(self, members: Iterable[A], do: Callable[[A], B]) -> list[B]:
        """Do something with every member, several at a time."""
        with ThreadPoolExecutor(self.workers) as workers:
            return list(workers.map(do, members))


def program_at(emulator: Emulator, home: Path, database: Database | None = None) -> Program:
    """Return the program that talks to an emulator. It writes no compiled modules, which the next run would not."""
    env = {"RUNA_ENV": "local", "RUNA_API_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "1", "RUNA_BASE_URL": emulator.url}
    if database:
        env["RUNA_LEDGER"] = database.url
    return Program(home, env, database=database)


# --- kills and faults ------------------------------------------------------------------------------------------------


def kill(harness: Harness, scenarios: Sequence[Scenario], wanted: int | None, seed: int) -> str:
    """Kill the program at least that often, or once at every boundary, and return what was counted."""
    undisturbed = harness.each(scenarios, lambda scenario: harness.undisturbed_run(scenario, "kill"))
    places = chosen(undisturbed, NEVER if wanted is None else round(wanted * AT_BOUNDARIES))

    def at_boundary(place: tuple[UndisturbedRun, Boundary]) -> None:
        run, boundary = place
        with harness.case(run.scenario) as case:
            case.inject("kill", boundary.number)
            go_on(case, run, chance_of(seed, run, boundary.number))

    harness.each(places, at_boundary)
    kill_at_instants(harness, undisturbed, wanted or 0, seed)
    totals = {run.scenario: len(run.boundaries) for run in undisturbed}
    for scenario in scenarios:
        sys.stdout.write(f"{scenario.name}: {kills_of(harness.by_scenario[scenario], totals[scenario])}\n")
    return kills_of(harness.count, sum(totals.values()))


def chosen(undisturbed: Sequence[UndisturbedRun], most: int) -> list[tuple[UndisturbedRun, Boundary]]:
    """Return boundaries to kill at: all if there are no more than that, or else those first that matter most."""
    first = [(run, boundary) for run in undisturbed for boundary in edges(run.boundaries)]
    taken = {(run.scenario, boundary.number) for run, boundary in first}
    rest = [
        (run, boundary)
        for run in undisturbed
        for boundary in run.boundaries
        if (run.scenario, boundary.number) not in taken
    ]
    places = evenly(first, most)
    return places + evenly(rest, most - len(places))


def kill_at_instants(harness: Harness, undisturbed: Sequence[UndisturbedRun], wanted: int, seed: int) -> None:
    """Kill the program at random instants, scenario after scenario, until it was killed often enough."""
    turns, lock = enumerate(itertools.cycle(undisturbed)), threading.Lock()

    def work(_: int) -> None:
        while harness.count.kills < wanted and len(harness.count.faults) < FAULTS_ENOUGH:
            with lock:
                number, run = next(turns)
            chance = chance_of(seed, run, -number)
            with harness.case(run.scenario) as case:
                seconds = instant(run, chance)
                if not case.kill_after(seconds):
                    run.measured(seconds)
                go_on(case, run, chance)

    harness.each(range(harness.workers), work)


def go_on(case: Case, run: UndisturbedRun, chance: random.Random) -> None:
    """Run the command again until it is done, perhaps killed at other places too, and count."""
    while chance.random() < KILLED_AGAIN:
        if chance.random() < AT_BOUNDARIES:
            case.kill_at(chance.randint(1, len(run.boundaries)))
        else:
            case.kill_after(instant(run, chance))
    case.finish()


def chance_of(seed: int, run: UndisturbedRun, number: int) -> random.Random:
    """Return the chance of one case, which does not depend on what runs beside it."""
    return random.Random(f"{seed} {run.scenario.name} {number}")  # noqa: S311 - repeatable, not secret


def instant(run: UndisturbedRun, chance: random.Random) -> float:
    """Return an instant at which there is something to interrupt, in seconds from the start of a run."""
    return chance.uniform(run.first, run.last)


def break_disks(harness: Harness, scenarios: Sequence[Scenario], most: int) -> str:
    """Break the disk at no more than that many boundaries of each scenario and kind, and return what was counted.

    Where there is a server, so is the connection to it.
    """
    kinds: tuple[Kind, ...] = ("full", "sync", "cut") if harness.server else ("full", "sync")
    asked = list(itertools.product(scenarios, kinds))
    undisturbed = harness.each(asked, lambda pair: harness.undisturbed_run(*pair))
    places = [
        (kind, run, boundary)
        for (_, kind), run in zip(asked, undisturbed, strict=True)
        for boundary in evenly(run.boundaries, most)
    ]

    def at(place: tuple[Kind, UndisturbedRun, Boundary]) -> None:
        kind, run, boundary = place
        with harness.case(run.scenario) as case:
            case.inject(kind, boundary.number)
            case.finish()

    harness.each(places, at)
    for scenario in scenarios:
        sys.stdout.write(f"{scenario.name}: {disk_faults_of(harness.by_scenario[scenario])}\n")
    return disk_faults_of(harness.count)


# --- the report ------------------------------------------------------------------------------------------------------


def kills_of(count: Count, boundaries: int) -> str:
    """Say what kills came to."""
    return (
        f"{count.kills} kills ({count.at_boundaries} at boundaries, {len(count.boundaries)} of the {boundaries} there"
        f" are; {count.at_instants} at random instants) {cases_of(count)}"
    )


def disk_faults_of(count: Count) -> str:
    """Say what faults of the disk and of connections came to."""
    ends = ", ".join(f"{number} with exit {code}" for code, number in sorted(count.ends.items()))
    return f"{count.disk_faults} faults of the disk or a connection ({ends}) {cases_of(count)}"


def cases_of(count: Count) -> str:
    """Say what was run and counted."""
    return (
        f"in {count.runs} runs, {count.orders} orders with {count.gifts} gifts, {len(count.faults)} missing, doubled,"
        " misplaced or untrue"
    )


def main() -> int:
    """Run the harness and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500, help="how often the program is killed at least")
    parser.add_argument("--every", action="store_true", help="kill it once at every boundary instead")
    parser.add_argument("--errors", action="store_true", help="break the disk instead")
    parser.add_argument("--most", type=int, default=10_000, help="break it at most so often a scenario and kind")
    parser.add_argument("--rows", type=int, help="rows of one large batch, instead of small orders and batches")
    parser.add_argument("--ledger", choices=["sqlite", "postgresql"], default="sqlite", help="where the ledgers are")
    parser.add_argument("--seed", type=int, default=0, help="the same seed chooses the same places")
    wanted = parser.parse_args()
    scenarios = both(f"batch of {wanted.rows:,} rows", wanted.rows, 1) if wanted.rows else SCENARIOS
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        server = stack.enter_context(postgres.server()) if wanted.ledger == "postgresql" else None
        harness = Harness.build(Path(directory), workers=os.cpu_count() or 1, server=server)
        if wanted.errors:
            total = break_disks(harness, scenarios, wanted.most)
        else:
            total = kill(harness, scenarios, None if wanted.every else wanted.kills, wanted.seed)
    sys.stdout.write(
        f"{total}; at {len(harness.kinds & harness.count.kinds)} of {len(harness.kinds)} kinds of calls,"
        f" {harness.count.unreached} boundaries not come to; {harness.workers} cases at a time,"
        f" {time.monotonic() - started:.0f} s\n"
    )
    sys.stdout.writelines(f"{fault}\n" for fault in harness.count.faults[:FAULTS_ENOUGH])
    return 1 if harness.count.faults else 0


if __name__ == "__main__":
    sys.exit(main())
