"""What the state machine works with: the real program, an emulated account that can be read, and their common time."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from runa_cli.core import exact_json
from runa_cli.core.states import State
from runa_cli.emulator.faults import Faults
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch
from runa_cli.ledger.results import ResultRow
from tests.support.fork_server import Running, Start, fork_server
from tests.support.ran import Ran
from tests.support.shared_time import EmulatorOnSharedTime, SharedTime

ACCOUNT, SECRET, REVOKED = "xxtests", "secret~part", "revoked"
NOWHERE = "http://127.0.0.1:9/v2"  # nothing listens there
PROCESSING = 3.0
ALWAYS = ("--json", "--verbose")
TIMEOUT = "20"  # seconds of the clock, enough for five attempts


@dataclass(frozen=True)
class Conditions:
    """What one run meets: faults at Runa, a network, a key and a balance that are good or not, and perhaps its end.

    `killed_at` and `interrupted_at` (by Ctrl-C) are points of its code, `room` how much the ledger's files may still
    grow, in bytes.
    """

    faults: tuple[str, ...] = ()
    reachable: bool = True
    key_works: bool = True
    funds: bool = True
    killed_at: str | None = None
    interrupted_at: str | None = None
    room: int | None = None


NORMAL = Conditions()


class Gift(NamedTuple):
    """A gift as the state machine compares it."""

    address: str
    value: str
    product: str
    description: str | None


class EmulatedAccount(EmulatorOnSharedTime):
    """An emulator whose faults and funds can be set from run to run, and whose stored orders can be read."""

    def __init__(self, path: Path, time: SharedTime) -> None:
        super().__init__(path, time, processing_seconds=PROCESSING)
        self._read: dict[bytes, dict[str, Any]] = {}  # an order never changes, and reading it takes its time

    def meet(self, conditions: Conditions) -> None:
        """Behave like this from now on."""
        self._faults = Faults(conditions.faults)
        assert self._store is not None
        self._store.set_balance("USD", Decimal(1_000_000 if conditions.funds else 0))

    def paid(self) -> dict[str, dict[str, Any]]:
        """Return the orders that were paid for, each by the key that it is stamped with."""
        assert self._store is not None
        documents = [self._document(order.full) for order in self._store.orders(100_000)]
        orders = [order for order in documents if order["status"] == "COMPLETED"]
        paid = {order["metadata"]["runa_cli_key"]: order for order in orders}
        assert len(orders) == len(paid), "one key paid for two orders"
        return paid

    def _document(self, body: bytes) -> dict[str, Any]:
        if body not in self._read:
            self._read[body] = json.loads(body)
        return self._read[body]

    @property
    def posts(self) -> int:
        """How often an order was posted."""
        return sum(method == "POST" for method, _, _ in self.requests)


def gifts_of(order: dict[str, Any]) -> list[Gift]:
    """Return the gifts of one of Runa's orders."""
    return [
        Gift(
            item["distribution_method"]["email_address"],
            f"{Decimal(str(item['face_value'])):.0f}",
            item["products"]["value"],
            order["description"],
        )
        for item in order["items"]
    ]


counts: Counter[str] = Counter()  # of runs, by exit code and by what they met, for a report


class Simulation:
    """One home, one ledger and one emulated account. Each call is a run of the program."""

    def __init__(self, directory: Path) -> None:
        self.time = SharedTime(frozen=True)
        self.skew = timedelta(0)  # what the program's calendar is wrong by
        self.account = EmulatedAccount(directory / "account.db", self.time)
        self.account.start()
        self._home = directory / "home"
        self._home.mkdir()
        self._path = self._home / "ledger.db"
        self.ledger = Ledger(self._path)  # for looking; a run has its own
        self.shown: list[str] = []

    def close(self) -> None:
        """Close the ledger and the emulator."""
        self.ledger.close()
        self.account.close()

    def now(self) -> datetime:
        """Return the time that the program believes."""
        return self.time.now() + self.skew

    def begin(
        self, *arguments: str, conditions: Conditions = NORMAL, stdin: str = "", paused_at: str | None = None
    ) -> Running:
        """Start the program."""
        self.account.meet(conditions)
        return self._begin(arguments, conditions, stdin, paused_at)

    def run(self, *arguments: str, conditions: Conditions = NORMAL, stdin: str = "") -> Ran:
        """Run the program to its end, or to where it is killed."""
        return self.end(self.begin(*arguments, conditions=conditions, stdin=stdin))

    def run_meanwhile(self, *arguments: str, stdin: str = "") -> Ran:
        """Run the program to its end while another run is under way, without faults of its own."""
        counts["second processes"] += 1
        return self.end(self._begin(arguments, NORMAL, stdin, None))

    def end(self, running: Running) -> Ran:
        """Wait for the end of a run."""
        ran = running.end()
        assert "Traceback" not in ran.err, ran.err
        assert 1 != ran.code, ran.err
        counts.update(["runs", f"exit {ran.code}", *(["full disks"] if running.start.largest_file is not None else [])])
        self.shown += [ran.out, ran.err]
        return ran

    def _begin(self, arguments: tuple[str, ...], conditions: Conditions, stdin: str, paused_at: str | None) -> Running:
        env = {
            "HOME": str(self._home),
            "PATH": os.environ["PATH"],
            "RUNA_ENV": "playground",
            "RUNA_BASE_URL": self.account.url if conditions.reachable else NOWHERE,
            "RUNA_API_KEY": f"{ACCOUNT}.{SECRET if conditions.key_works else REVOKED}",
            "RUNA_LEDGER": str(self._path),
            "RUNA_TIMEOUT": TIMEOUT,
        }
        return fork_server().begin(
            Start(
                arguments=(*arguments, *ALWAYS),
                env=env,
                directory=str(self._home),
                frozen=True,
                skew=self.skew.total_seconds(),
                jitter=0.5,
                killed_at=conditions.killed_at,
                interrupted_at=conditions.interrupted_at,
                paused_at=paused_at,
                largest_file=None if conditions.room is None else self._largest() + conditions.room,
            ),
            self.time,
            stdin=stdin,
        )

    def _largest(self) -> int:
        return max(path.stat().st_size for path in self._home.iterdir() if path.name.startswith("ledger"))

    # --- what the ledger says ------------------------------------------------------------------------------------

    def batch_ids(self) -> list[int]:
        """Return the batches there are, oldest first."""
        return [batch.id for batch in self.ledger.batches(oldest_first=True)]

    def lines(self, batch: Batch) -> list[ResultRow]:
        """Return the results of a batch as they are shown."""
        return [results.row_from_ledger(result) for result in self.ledger.results(batch)]

    def purchases(self, batch_id: int | None = None) -> list[dict[str, Any]]:
        """Return every order ever recorded, replaced ones too."""
        return [
            dict(row)
            for row in self.ledger._engine.select(
                "SELECT idempotency_key, state, order_id, position, batch_id FROM purchase"
                " WHERE ? IS NULL OR batch_id = ?",
                batch_id,
                batch_id,
            )
        ]

    def recorded(self, batch_id: int, *states: State, shown: bool = True) -> Counter[Gift]:
        """Count the gifts of a batch in some states: those of its results, or those that an edit took out of them."""
        rows = self.ledger._engine.select(
            "SELECT gift.item, purchase.body, purchase.state FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
            f" WHERE batch_id = ? AND gift.row {'>' if shown else '<'} 0",
            batch_id,
        )
        return Counter(_gift(row["item"], row["body"]) for row in rows if State(row["state"]) in states)

    # --- what lies about -----------------------------------------------------------------------------------------

    def everything_written(self) -> Iterator[bytes]:
        """Yield all that the program ever showed or left on the disk."""
        yield from (text.encode() for text in self.shown)
        yield from (path.read_bytes() for path in self._home.rglob("*") if path.is_file())


def _gift(item: str, body: bytes) -> Gift:
    document: Any = exact_json.loads(item)
    order: Any = exact_json.loads(body)
    return gifts_of({"items": [document], "description": order.get("description")})[0]
