"""The kill harness: SIGKILL at random instants of the real program, started again until it is done, and then counted.

`python -m tests.crash --kills 20 --rows 10000` kills a batch; `--rows 1` kills single orders, one after the other. It
prints what it counted and exits 1 if a gift is missing, doubled, or under another recipient.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from runa_cli.emulator.server import Emulator
from tests.program import KEY, Program, orders_at
from tests.sheets import gifts, links_by_address, rows_of, sheet


@dataclass
class Harness:
    """Starts, kills and counts."""

    program: Program
    emulator: Emulator
    chance: random.Random
    rows: int
    kills: int = 0
    runs: int = 0
    faults: list[str] = field(default_factory=list)

    def kill(self, wanted: int) -> None:
        """Issue batch after batch until the program was killed that often, and finish the last one too."""
        number = 0
        while self.kills < wanted:
            command = self.command(number)
            longest = self.seconds(*command, "--dry-run") + (1.5 if self.rows > 1 else 0.2)
            while self.kills < wanted and self.killed(command, self.chance.uniform(0.1, longest)):
                pass
            self.check(number, command)
            number += 1

    def command(self, number: int) -> tuple[str, ...]:
        """Return the command line of a batch of people of its own."""
        rows = gifts(self.rows, first=number * self.rows)
        if self.rows == 1:
            flags = (
                "--face-value",
                rows[0]["face_value"],
                "--email",
                rows[0]["email"],
                "--product",
                rows[0]["product"],
            )
            return ("order", "create", *flags, "--quiet", "-o", "csv")
        for row in rows:
            row["description"] = ""
        path = sheet(self.program.home / f"gifts{number}.csv", rows)
        return ("order", "create", "--file", str(path), "--batch", f"batch {number}", "--quiet", "-o", "csv")

    def seconds(self, *command: str) -> float:
        """Return how long a run takes."""
        started = time.monotonic()
        self.program(*command)
        return time.monotonic() - started

    def killed(self, command: tuple[str, ...], seconds: float) -> bool:
        """Start the program, kill it after a while, and tell whether it was still running."""
        running = self.program.start(*command)
        killer = threading.Timer(seconds, running.kill)
        killer.start()
        running.communicate()
        killer.cancel()
        self.runs += 1
        self.kills += running.returncode == -9
        return running.returncode == -9

    def check(self, number: int, command: tuple[str, ...]) -> None:
        """Run a batch to its end, and hold what it shows against what the emulator made."""
        ran = self.program(*command)
        self.runs += 1
        if ran.code == 6:  # a single order that was shown before it could be killed is refused the second time
            (batch,) = self.program("batch", "list", "--json").json[:1]
            ran = self.program("batch", "export", batch["batch"], "-o", "csv")
        if ran.code != 0:
            self.faults.append(f"batch {number} ended with exit {ran.code}: {ran.err.strip()}")
        made = links_by_address(self.emulator)
        shown = {row["email"]: row["payout_url"] for row in rows_of(ran.out)}
        if len(shown) != self.rows:
            self.faults.append(f"batch {number} shows {len(shown)} of {self.rows} gifts")
        self.faults += [
            f"{address} is shown {url} and has {made.get(address)}"
            for address, url in shown.items()
            if made.get(address) != [url]
        ]
        expected = (number + 1) * self.rows
        if len(made) != expected or sum(map(len, made.values())) != expected:
            self.faults.append(f"after batch {number} there are {sum(map(len, made.values()))} gifts, not {expected}")


def main() -> int:
    """Run the harness and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how often the program is killed")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of each batch; 1: single orders")
    parser.add_argument("--seed", type=int, default=0, help="the same seed chooses the same instants")
    wanted = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        home.mkdir()
        with Emulator(Path(directory) / "account.db", processing_seconds=0.2) as emulator:
            program = Program(home, {"RUNA_BASE_URL": emulator.url, "RUNA_ENV": "local", "RUNA_API_KEY": KEY})
            chance = random.Random(wanted.seed)  # noqa: S311 - repeatable, not secret
            harness = Harness(program, emulator, chance, wanted.rows)
            harness.kill(wanted.kills)
            orders = orders_at(emulator)
    made = sum(len(order["items"]) for order in orders)
    sys.stdout.write(
        f"{harness.kills} kills in {harness.runs} runs, {len(orders)} orders with {made} gifts,"
        f" {len(harness.faults)} missing, doubled or misplaced; {time.monotonic() - started:.0f} s\n"
    )
    sys.stdout.writelines(f"{fault}\n" for fault in harness.faults[:20])
    return 1 if harness.faults else 0


if __name__ == "__main__":
    sys.exit(main())
