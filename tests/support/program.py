"""The real program in a process of its own, with a home of its own, and what it did to the emulator and the ledger."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from runa_cli.emulator.server import Emulator

ROOT = Path(__file__).parents[2]
KEY = "xxtests.secret~part"
LONGEST = 120  # seconds: no run of a test takes longer unless it hangs
LAUNCHER = (sys.executable, str(Path(__file__).with_name("run_to_point.py")))
GIFT = ("order", "create", "--face-value", "10", "--email", "fred@example.com", "--product", "AMZ-US")


@dataclass(frozen=True)
class Ran:
    """How one run of the program ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one document it must be."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The one error that standard error holds as a line of JSON."""
        (line,) = [line for line in self.err.splitlines() if line.startswith('{"error"')]
        error: dict[str, Any] = json.loads(line)["error"]
        return error


@dataclass
class Program:
    """Runs `runa` as cron would: with nothing in the environment but what a test puts there."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the whole environment of a run."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.env, **more}

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a run."""
        return [sys.executable, "-m", "runa_cli", *arguments]

    def __call__(self, *arguments: str, stdin: str = "", **env: str) -> Ran:
        """Run the program to its end."""
        return self.execute(self.command(*arguments), stdin=stdin, **env)

    def killed_at(self, point: str, *arguments: str) -> Ran:
        """Run the program until it reaches a point of its code, and kill it there with SIGKILL."""
        return self.execute([*LAUNCHER, "kill", point, *arguments])

    def broken_at(self, point: str, *arguments: str, **env: str) -> Ran:
        """Run the program until it reaches a point of its code, and let a defect be there."""
        return self.execute([*LAUNCHER, "raise", point, *arguments], **env)

    def execute(self, command: Sequence[str], *, stdin: str = "", **env: str) -> Ran:
        """Run a command in the program's environment."""
        ended = subprocess.run(
            command, input=stdin.encode(), capture_output=True, timeout=LONGEST, check=False, cwd=self.home,
            env=self.environment(**env),
        )  # fmt: skip
        return Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def start(self, *arguments: str, stdout: int | IO[str] = subprocess.PIPE, **env: str) -> "subprocess.Popen[str]":
        """Start the program and leave it running."""
        return subprocess.Popen(
            self.command(*arguments), stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=self.home,
            env=self.environment(**env),
        )  # fmt: skip

    @property
    def ledger(self) -> Path:
        """Where the ledger is."""
        return self.home / ".local/share/runa/ledger.db"

    def states(self) -> list[str]:
        """Return the states of all recorded orders, as SQLite itself reads them."""
        connection = sqlite3.connect(self.ledger)
        try:
            return [state for (state,) in connection.execute("SELECT state FROM purchase ORDER BY id")]
        finally:
            connection.close()


def orders_at(emulator: Emulator) -> list[dict[str, Any]]:
    """Return every order of the emulated account, whole."""
    return [ask(emulator, f"/order/{entry['id']}") for entry in ask(emulator, "/order?limit=500")["items"]]


def links_at(emulator: Emulator) -> set[str]:
    """Return every payout link of the emulated account."""
    return {item["payout"]["url"] for order in orders_at(emulator) for item in order["items"]}


def ask(emulator: Emulator, target: str) -> Any:
    """Ask the emulator as another program would."""
    request = urllib.request.Request(emulator.url + target, headers={"X-Api-Key": KEY})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def posts(emulator: Emulator) -> int:
    """Return how often an order was posted."""
    return sum(method == "POST" for method, _, _ in emulator.requests)


def wait_for(condition: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    """Wait until something is so, or the program has ended without it."""
    while not condition():
        assert running.poll() is None, "the program ended too early"
        time.sleep(0.005)


def wait_for_stopping(running: "subprocess.Popen[str]") -> None:
    """Wait until a program that was sent a signal says that it begins no new orders."""
    assert running.stderr is not None
    while "Ctrl-C again" not in (said := running.stderr.readline()):
        assert said, "the program ended instead"
