"""Cases of the kill harness: one command in a home of its own meets a fault, is run until it is done, and is counted.

Only the program has the shim in front of it. The emulator lives in the harness's own process, which no fault hits.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from runa_cli.emulator.server import Emulator
from tests.support import faultpoints
from tests.support.csv_files import gifts, links_by_address, links_in, rows_of, sheet
from tests.support.faultpoints import NEVER, Boundary, Kind
from tests.support.program import Program, orders_at
from tests.support.ran import LONGEST, Ran

KILLED = -9
# What the program may end with on a broken disk, and what it may then say of the money.
HONEST = {
    0: {"issued"},
    4: {"not_issued"},
    7: {"unknown", "not_issued"},
    8: {"partial"},
    9: {"issued", "partial"},
}


@dataclass(frozen=True)
class Scenario:
    """What is asked for: gifts from flags, or from a file that makes several orders."""

    name: str
    gifts: int
    orders: int = 0  # 0: from flags
    used: bool = False  # whether the ledger holds something already

    @property
    def rows(self) -> list[dict[str, str]]:
        """The gifts, to different people."""
        return gifts(self.gifts, orders=self.orders or 1)

    def command(self, home: Path) -> tuple[str, ...]:
        """Return the command line, which is the same however often it is run."""
        if not self.orders:
            emails = chain.from_iterable(("--email", row["email"]) for row in self.rows)
            return ("order", "create", "--face-value", "10", "--product", "AMZ-US", *emails, "--json")
        path, results = str(sheet(home / "gifts.csv", self.rows)), str(home / "results.csv")
        return (
            "order", "create", "--file", path, "--batch", "bonus", "--results", results, "--concurrency", "3", "--json",
        )  # fmt: skip


def both(name: str, count: int, orders: int = 0) -> tuple[Scenario, Scenario]:
    """Return a scenario with a new ledger and with one in use."""
    return (
        Scenario(f"{name}, new ledger", count, orders),
        Scenario(f"{name}, ledger in use", count, orders, used=True),
    )


@dataclass
class Count:
    """What cases came to."""

    at_boundaries: int = 0
    at_instants: int = 0
    disk_faults: int = 0
    unreached: int = 0
    runs: int = 0
    orders: int = 0
    gifts: int = 0
    boundaries: set[tuple[str, int]] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    ends: Counter[int] = field(default_factory=Counter)  # exit codes of the runs with a broken disk
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How often the program was killed."""
        return self.at_boundaries + self.at_instants

    @property
    def injected(self) -> int:
        """How often something happened at a boundary."""
        return self.at_boundaries + self.disk_faults

    def add(self, other: "Count") -> None:
        """Add what another case came to."""
        for name, value in vars(other).items():
            own = getattr(self, name)
            setattr(self, name, own | value if isinstance(own, set) else own + value)


class Case:
    """One command, run until it is done, and what the emulator has made of it."""

    def __init__(
        self, scenario: Scenario, program: Program, emulator: Emulator, library: Path, port: int | None = None
    ) -> None:
        """`port` is that of the server on which the ledger is."""
        self._port = port
        self.count = Count()
        self._scenario = scenario
        self._program = program
        self._emulator = emulator
        self._library = library
        self._command = scenario.command(program.home)
        self._results = program.home / "results.csv"
        self._shown: list[str] = []

    # --- running -------------------------------------------------------------------------------------------------

    def inject(self, kind: Kind, number: int) -> None:
        """Let something happen at a boundary."""
        if kind == "kill":
            self.kill_at(number)
        else:
            self.break_disk(kind, number)

    def kill_at(self, number: int) -> None:
        """Kill the program just before a boundary, if it comes to it."""
        ran, _ = self.watch("kill", number)
        self.count.at_boundaries += ran.code == KILLED
        self._look(ran)

    def kill_after(self, seconds: float) -> bool:
        """Kill the program after that many seconds; False if it had ended before."""
        ran = self._run(seconds=seconds)
        self.count.at_instants += ran.code == KILLED
        self._look(ran)
        return ran.code == KILLED

    def break_disk(self, kind: Kind, number: int) -> None:
        """Let the disk or the connection fail, and hold what the program says about the money against what was made."""
        ran, reached = self.watch(kind, number)
        self.count.disk_faults += number <= len(reached)
        self.count.ends[ran.code] += 1
        where = f"{kind}:{number}"
        if ran.code not in HONEST or "Traceback" in ran.err:
            self.fault(f"ended at {where} with exit {ran.code}: {ran.err.strip()[-500:]}")
            return
        orders, money = orders_at(self._emulator), ran.error["money"] if ran.code else "issued"
        issued = sum(map(len, links_in(orders).values()))
        truths = {"not_issued": not orders, "partial": bool(orders), "issued": issued == self._scenario.gifts}
        if money not in HONEST[ran.code] or not truths.get(money, True):
            self.fault(f"ended at {where} with exit {ran.code} and money {money}, and {issued} gifts are issued")
        if ran.code == 0:
            self._compare(f"shows at {where}", shown_in(ran))

    def watch(self, kind: Kind, number: int = NEVER) -> tuple[Ran, list[Boundary]]:
        """Run the command behind the shim, and return how it ended and to which boundaries it came."""
        log = self._program.home / "boundaries"
        log.unlink(missing_ok=True)
        ran = self._run(faultpoints.environment(self._library, log, kind, number, self._port))
        reached = faultpoints.read(log)
        if number <= len(reached):
            self.count.kinds.add(reached[number - 1].name)
            if self.count.runs == 1:  # a resumed run comes to other boundaries
                self.count.boundaries.add((f"{kind} {self._scenario.name}", number))
        elif number != NEVER and self.count.runs == 1:
            self.count.unreached += 1
        return ran, reached

    def _run(self, env: Mapping[str, str] | None = None, *, seconds: float = LONGEST) -> Ran:
        """Run the command, what it shows going to a file as in cron, and kill it when the time is over."""
        shown = self._program.home / "shown"
        with shown.open("w") as stream:
            running = self._program.start(*self._command, stdout=stream, **(env or {}))
            try:
                _, err = running.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                running.kill()
                _, err = running.communicate()
        self.count.runs += 1
        if running.returncode == KILLED and self._program.database:
            self._program.database.end_leases()
        self._shown.append(shown.read_text(errors="replace"))
        return Ran(running.returncode, self._shown[-1], err)

    # --- counting ------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Run the command to its end, and count: every gift once, every link beside its address."""
        ran = self._run()
        self._look(ran)
        if ran.code == KILLED:
            self.fault(f"was not done within {LONGEST} s")
        made = links_by_address(self._emulator)
        self.count.orders += len(orders_at(self._emulator))
        self.count.gifts += sum(map(len, made.values()))
        wanted = {row["email"] for row in self._scenario.rows}
        for address in sorted(wanted | made.keys()):
            links = made.get(address, [])
            if len(links) != (address in wanted):
                self.fault(f"{address} has {len(links)} gifts")
        if ran.code == 0:
            self._compare("shows", shown_in(ran))
        if ran.code == 6:  # killed after everything was shown; the same once more is a duplicate then
            self._compare("exports", self._exported(ran, made))
        self._check_shown(made)

    def _look(self, ran: Ran) -> None:
        """Look at how a run ended that nothing worse happened to than a kill, and at the file it was to write."""
        if ran.code not in {0, 6, KILLED}:
            self.fault(f"ended with exit {ran.code}: {ran.err.strip()[-500:]}")
        if self._results.exists():
            written = rows_of(self._results.read_text())
            self._compare("has in its results", {row["email"]: [row["payout_url"]] for row in written})

    def _exported(self, refused: Ran, made: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Return the recorded links of what is refused as done, which must have been shown whole before."""
        links = list(chain.from_iterable(made.values()))
        if not any(all(f'"{link}"' in shown for link in links) for shown in self._shown):
            self.fault("is refused as done, and its links were never shown")
        self.count.runs += 1
        return shown_in(self._program("batch", "export", refused.error["batch"], "--json"))

    def _check_shown(self, made: Mapping[str, Sequence[str]]) -> None:
        """Make sure that no run ever showed a link that is not there."""
        shown = set(re.findall(r'"(http[^"]+/gift/[^"]+)"', "\n".join(self._shown)))
        if unknown := shown - set(chain.from_iterable(made.values())):
            self.fault(f"has shown links that nobody made: {sorted(unknown)}")

    def _compare(self, does: str, shown: Mapping[str, Sequence[str]]) -> None:
        """Hold links by address against those that were made."""
        made = links_by_address(self._emulator)
        for address in sorted(shown.keys() | made.keys()):
            if shown.get(address) != made.get(address):
                self.fault(f"{does} {shown.get(address)} for {address}, who has {made.get(address)}")

    def fault(self, what: str) -> None:
        """Note what should not be."""
        self.count.faults.append(f"{self._scenario.name}: {what}")


def shown_in(ran: Ran) -> dict[str, list[str]]:
    """Return the links that a run shows for each address; one order is shown as it is, several as a list."""
    shown = ran.json
    return links_in(shown if isinstance(shown, list) else [shown])
