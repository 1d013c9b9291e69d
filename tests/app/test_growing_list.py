"""A list that grows, issued from two machines whose homes are copied and restored: each person gets one gift."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runa_cli.emulator.server import Emulator
from tests.conftest import Emulate
from tests.support.csv_files import rows_of
from tests.support.program import Program, orders_at
from tests.support.ran import Ran

PEOPLE = ("ann", "ben", "cem", "dan", "eve", "flo")
POINTS = (
    "return:Batches.record",
    "return:Batches.adopt",
    "return:Batches.amend",
    "return:Orders.mark_sent",
    "return:Client.create_order",
    "return:Orders.mark_accepted",
    "call:show_batch",
)
NOWHERE = {"RUNA_BASE_URL": "http://127.0.0.1:9/v2", "RUNA_TIMEOUT": "0.2"}
ACTS = ("add", "sort", "copy", "restore", "wait", "resume", "unreachable", "describe", "kill", "kill", *["issue"] * 4)


@dataclass
class Office:
    """Two machines, the list that both issue under one name, and beside whom each link was seen."""

    machines: list[Program]
    emulator: Emulator
    chance: random.Random
    mailed: bool
    people: list[str]
    copies: dict[Path, Path] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def act(self, name: str) -> None:
        """Let something happen at one of the machines."""
        machine = self.chance.choice(self.machines)
        acts: dict[str, Callable[[Program], Ran | None]] = {
            "add": self.add,
            "sort": lambda _: self.people.sort(),
            "copy": self.copy,
            "restore": self.restore,
            "wait": lambda program: program.time.sleep(self.chance.choice([60, 700, 3 * 86_400])),
            "resume": lambda program: program("batch", "resume", "june", "-o", "csv"),
            "unreachable": lambda program: program(*self.create(program), **NOWHERE),
            "describe": lambda program: program(*self.create(program), "--description", self.chance.choice("xy")),
            "kill": lambda program: program.killed_at(self.chance.choice(POINTS), *self.create(program)),
            "issue": lambda program: program(*self.create(program)),
        }
        ran = acts[name](machine)
        self.told.append(f"{name} at {machine.home.name}: {self.people}, {ran}")
        if ran is not None and ran.code != -9:
            self.see(ran)

    def create(self, program: Program) -> tuple[str, ...]:
        """Save the list, as a person or a spreadsheet writes it this time, and return the command that issues it."""
        value, write = self.chance.choice([("25", str), ("25.00", str.upper if self.mailed else str)])
        head = "email" if self.mailed else "reference"
        cells = [write(f"{name}@example.com" if self.mailed else name) for name in self.people]
        path = program.home / "gifts.csv"
        path.write_text("\n".join([f"face_value,{head}", *(f"{value},{cell}" for cell in cells)]))
        return ("order", "create", "--file", str(path), "--product", "AMZ-US", "--batch", "june", "-o", "csv")

    def add(self, _: Program) -> None:
        """Put somebody new into the list."""
        if new := [name for name in PEOPLE if name not in self.people]:
            self.people.insert(self.chance.randrange(len(self.people) + 1), self.chance.choice(new))

    def copy(self, program: Program) -> None:
        """Back a machine up, the ledger with its high-water mark."""
        copy = program.home.with_name(f"{program.home.name}-{len(self.told)}")
        shutil.copytree(program.home, copy)
        self.copies[program.home] = copy

    def restore(self, program: Program) -> None:
        """Put the last backup of a machine in its place."""
        if program.home in self.copies:
            shutil.rmtree(program.home)
            shutil.copytree(self.copies[program.home], program.home)

    def see(self, ran: Ran) -> None:
        """Check that each link that is shown is beside whom it was before."""
        for row in rows_of(ran.out) if ran.out else ():
            if row["payout_url"]:
                whom = row["email"].lower() or row["reference"]
                assert whom == self.beside.setdefault(row["payout_url"], whom), "\n".join(self.told)

    def check(self) -> None:
        """Check that nobody was paid twice. Runa has no labels of links: these are only counted."""
        items = [item for order in orders_at(self.emulator) for item in order.get("items", ())]
        addresses = [item["distribution_method"].get("email_address", "").lower() for item in items]
        assert len(items) <= len(self.people), "\n".join(self.told)
        assert not self.mailed or len(addresses) == len(set(addresses)), "\n".join(self.told)


@pytest.mark.slow
@pytest.mark.parametrize("mailed", [True, False], ids=["mailed", "links"])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_to_it_nobody_is_paid_twice(
    program: Program, emulate: Emulate, tmp_path: Path, mailed: bool, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same stories each time
    second = tmp_path / "second"
    second.mkdir()
    machines = [program, program.elsewhere(second)]
    office = Office(machines, emulate(), chance, mailed, chance.sample(PEOPLE, 3))
    for _ in range(12):
        office.act(chance.choice(ACTS))
        program.time.sleep(1)  # what is accepted is settled
        office.check()
