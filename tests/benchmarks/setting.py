"""What the benchmarks work with: their sizes, a scratch directory, the program and servers."""

import csv
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook

from tests.benchmarks.measure import Command

HERE = Path(__file__).parent
RUNA = str(Path(sys.executable).with_name("runa"))
KEY = "benchmark.none"  # of an environment that is no real one: the servers ask for no key
GIFT = ("--face-value", "10", "--product", "AMZ-US", "--currency", "USD")


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    name: str
    starts: int  # repetitions of a command that ends at once
    turns: int  # of one that takes seconds
    rows: int  # of a large file
    small_file: int
    huge_file: int
    ledger_orders: int
    warm_up: float  # seconds before orders a minute are counted
    counted: float  # seconds for which they are counted


FULL = Size("full", 20, 5, 100_000, 10_000, 1_000_000, 1_000_000, 60, 60)
QUICK = Size("quick", 10, 3, 20_000, 5_000, 100_000, 100_000, 60, 60)
TINY = Size("tiny", 1, 1, 200, 100, 400, 500, 0.5, 1)


@dataclass(frozen=True)
class Bench:
    """One run of the benchmarks: its size, and a directory for what it needs, which is deleted at the end."""

    size: Size
    directory: Path

    def home(self, name: str) -> Path:
        """Return an empty home directory."""
        home = self.directory / name
        home.mkdir(exist_ok=True)
        return home

    def runa(
        self, home: Path, *arguments: str, url: str = "http://127.0.0.1:9", codes: Sequence[int] = (0,)
    ) -> Command:
        """Return a run of the program, as in the playground; `url` is where its orders go."""
        env = {"RUNA_ENV": "playground", "RUNA_API_KEY": KEY, "RUNA_BASE_URL": url}
        return Command([RUNA, *arguments], home, env, codes)

    def floor(self, name: str, *arguments: str) -> Command:
        """Return a run of one of the smallest programs."""
        return Command([sys.executable, str(HERE / "floors" / f"{name}.py"), *arguments], self.home("floor"))


@contextmanager
def serving(post_seconds: float = 0, settle_seconds: float = 0, limit: int = 0) -> Iterator[str]:
    """Run a server in a process of its own, and yield its URL. See `server.py`."""
    command = [sys.executable, str(HERE / "server.py"), str(post_seconds), str(settle_seconds), str(limit)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]}) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def times(url: str) -> dict[str, Any]:
    """Return when posts arrived at a server, by the monotonic clock of this machine, and how many were refused."""
    with urllib.request.urlopen(f"{url}/times", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def write_gifts(path: Path, count: int, *, first: int = 0, orders: int = 1) -> Path:
    """Write a CSV file of gifts to different people, in at least that many orders."""
    with path.open("w", encoding="utf-8") as file:
        file.write("face_value,email,product,description,reference\n")
        per_order = -(-count // orders)
        for number in range(first, first + count):
            part = (number - first) // per_order if orders > 1 else 0
            file.write(f"{10 + number % 40},person{number}@example.com,AMZ-US,part {part},E{number}\n")
    return path


def write_workbook(table: Path) -> Path:
    """Write the rows of a CSV file as a workbook whose rows have attributes, as those of LibreOffice have."""
    path = table.with_suffix(".xlsx")
    with table.open(encoding="utf-8", newline="") as file, Workbook(path, {"constant_memory": True}) as workbook:
        sheet = workbook.add_worksheet()
        for number, cells in enumerate(csv.reader(file)):
            sheet.set_row(number, 12.8)
            for column, cell in enumerate(cells):
                if number and column == 0:
                    sheet.write_number(number, column, float(cell))
                else:
                    sheet.write_string(number, column, cell)
    return path
