"""The real program with a home of its own, and what it did to the emulator and the ledger."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import pytest

from runa_cli.emulator.faults import Faults
from runa_cli.emulator.server import Emulator
from tests.support.fork_server import Running, Start, fork_server, needs_a_new_process
from tests.support.postgres import Database
from tests.support.ran import LONGEST, Ran
from tests.support.shared_time import SharedTime

KEY = "xxtests.secret~part"
KILLED_AT = (sys.executable, str(Path(__file__).with_name("run_to_point.py")))  # before a point and arguments
GIFT = ("order", "create", "--face-value", "10", "--email", "fred@example.com", "--product", "AMZ-US")


@dataclass
class Program:
    """Runs `runa` as cron would: with nothing in the environment but what a test puts there.

    A call forks it (see `fork_server`), and what it sleeps passes at once in `time`. What `execute` and `start` run is
    a process started anew, in real time.
    """

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    time: SharedTime = field(default_factory=SharedTime)
    database: Database | None = None  # that of its ledger, where it has none of its own

    def elsewhere(self, home: Path) -> "Program":
        """Return the program on another machine: with another home, and a ledger of its own."""
        if self.database is None:
            return Program(home, self.env, self.time)
        database = self.database.another()
        return Program(home, self.env | {"RUNA_LEDGER": database.url}, self.time, database)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the whole environment of a run."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.env, **more}

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a run."""
        return [sys.executable, "-m", "runa_cli", *arguments]

    def __call__(self, *arguments: str, stdin: str = "", **env: str) -> Ran:
        """Run the program to its end."""
        if needs_a_new_process(env):
            return self.execute(self.command(*arguments), stdin=stdin, **env)
        return self.fork(*arguments, stdin=stdin, env=env)

    def killed_at(self, point: str, *arguments: str) -> Ran:
        """Run the program until it reaches a point of its code, and kill it there with SIGKILL."""
        return self.fork(*arguments, killed_at=point)

    def broken_at(self, point: str, *arguments: str, **env: str) -> Ran:
        """Run the program until it reaches a point of its code, and let a defect be there."""
        return self.fork(*arguments, env=env, fails_at=point)

    def paused_at(self, point: str, *arguments: str) -> Running:
        """Start the program, and let it stand at a point of its code: `pauses` waits for that, `go_on` lets it go."""
        start = Start(arguments, self.environment(), str(self.home), paused_at=point)
        return fork_server().begin(start, self.time, stdin="", stdout=None, stderr=None)

    def fork(self, *arguments: str, stdin: str | int = "", stdout: int | None = None, stderr: int | None = None,
             env: Mapping[str, str] = MappingProxyType({}), **options: Any) -> Ran:  # fmt: skip
        """Run the program to its end, perhaps with given standard streams, and with options of `Start`."""
        start = Start(arguments, self.environment(**env), str(self.home), **options)
        ran = fork_server().begin(start, self.time, stdin=stdin, stdout=stdout, stderr=stderr).end()
        if self.database is not None and start.killed_at is not None:
            self.database.end_leases()
        return ran

    def execute(self, command: Sequence[str], *, stdin: str = "", **env: str) -> Ran:
        """Run a command in the program's environment, as a process started anew."""
        ended = subprocess.run(
            command, input=stdin.encode(), capture_output=True, timeout=LONGEST, check=False, cwd=self.home,
            env=self.environment(**env),
        )  # fmt: skip
        return Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def start(self, *arguments: str, stdout: int | IO[Any] = subprocess.PIPE, **env: str) -> "subprocess.Popen[str]":
        """Start the program and leave it running."""
        return subprocess.Popen(
            self.command(*arguments), stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=self.home,
            env=self.environment(**env),
        )  # fmt: skip

    @property
    def ledger(self) -> Path:
        """Where the ledger is."""
        if self.database is not None:
            pytest.skip("is about a ledger in a file")
        return self.home / ".local/share/runa/ledger.db"

    @property
    def mark(self) -> Path:
        """The only high-water mark there is."""
        (mark,) = (self.home / ".local/state/runa").glob("ledger-mark-*.json")
        return mark

    def states(self) -> list[str]:
        """Return the states of all recorded orders, as the database itself reads them."""
        return [state for (state,) in self.sql("SELECT state FROM purchase ORDER BY id")]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement in the ledger, past the program, and return its rows."""
        if self.database is not None:
            return self.database.run(statement)
        with closing(sqlite3.connect(self.ledger, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()


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


def order_elsewhere(emulator: Emulator, metadata: dict[str, str] | None = None, *, key: str = KEY) -> str:
    """Order a gift as another program would, and return the order's id."""
    body = {
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
        "items": [
            {
                "face_value": 25,
                "distribution_method": {"type": "EMAIL", "email_address": "eve@example.com"},
                "products": {"type": "SINGLE", "value": "AMZ-US"},
            }
        ],
        "metadata": metadata,
    }
    headers = {
        "X-Api-Key": key,
        "X-Idempotency-Key": "elsewhere",
        "X-Execution-Mode": "sync",
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(f"{emulator.url}/order", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["id"])


def at_runa(tmp_path: Path, statement: str, *values: object) -> None:
    """Change the account behind the emulator's back."""
    with closing(sqlite3.connect(tmp_path / "account.db")) as account, account:
        account.execute(statement, values)


def behave(emulator: Emulator, *faults: str) -> None:
    """Let an emulator behave like this from now on; its requests are counted from 1 again."""
    emulator._faults = Faults(faults)


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
