"""Issuing without its command line: the real ledger, client and sockets, an emulator, and time and crashes of our own.

Waits cost nothing, for the program and the emulator read one clock that only `sleep` and the test move on.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from runa_cli import jsontext, results
from runa_cli.client import Client, Endpoint
from runa_cli.emulator.faults import Faults
from runa_cli.emulator.server import Emulator
from runa_cli.governor import Governor
from runa_cli.issuing import Asked, Issuing
from runa_cli.ledger import Ledger
from runa_cli.plan import Plan
from runa_cli.records import Batch, State
from runa_cli.results import Line
from runa_cli.runs import Run
from runa_cli.settling import Terms, Tools
from runa_cli.talk import Silent

ENVIRONMENT, ACCOUNT = "playground", "xxtests"
NOWHERE = "http://127.0.0.1:9/v2"  # nothing listens there
TIMEOUT = 20.0  # seconds of the clock, enough for five attempts
PROCESSING = 3.0
LEDGER_POINTS = frozenset(
    ["record", "amend", "renew", "mark_sent", "mark_unsent", "note", "mark_accepted", "mark_doubted", "mark_completed",
     "mark_failed", "mark_rejected", "mark_shown"]
)  # fmt: skip
CLIENT_POINTS = frozenset({"create_order", "fetch_order"})


class Crash(BaseException):
    """The process is gone, at one point of its code. The kill harness does the same with a real SIGKILL."""


@dataclass(frozen=True)
class Fuse:
    """Where a run crashes: before or after the call number `count` of a method of the ledger or the client."""

    method: str
    before: bool
    count: int = 1


@dataclass(frozen=True)
class Weather:
    """What one run meets: faults at Runa, a network, a key and a balance that are good or not, and perhaps its end."""

    faults: tuple[str, ...] = ()
    reachable: bool = True
    key_works: bool = True
    funds: bool = True
    crash: Fuse | None = None


FAIR = Weather()


class Gift(NamedTuple):
    """What somebody is to get; two equal ones can be told apart by nobody."""

    address: str
    value: str
    product: str
    description: str | None


class Clock:
    """The time, which passes only when somebody sleeps or the test says so."""

    def __init__(self) -> None:
        self._start = datetime(2026, 1, 2, 12, tzinfo=UTC)
        self._seconds = 0.0

    def seconds(self) -> float:
        """Return the time as a stopwatch shows it."""
        return self._seconds

    def now(self) -> datetime:
        """Return the time as a calendar shows it."""
        return self._start + timedelta(seconds=self._seconds)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += seconds


class Bank(Emulator):
    """An emulated account on our clock, whose faults and funds can be set from run to run, and whose books are open."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(path, processing_seconds=PROCESSING)
        self._clock = clock
        self._read: dict[bytes, dict[str, Any]] = {}  # an order never changes, and reading it takes its time

    def now(self) -> datetime:
        """Return the time on our clock."""
        return self._clock.now()

    def meet(self, weather: Weather) -> None:
        """Behave like this from now on."""
        self._faults = Faults(weather.faults)
        assert self._store is not None
        self._store.set_balance("USD", Decimal(1_000_000 if weather.funds else 0))

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


class _Fused:
    """Lets a run crash at its fuse."""

    def __init__(self, fuse: Fuse | None) -> None:
        self._fuse = fuse
        self._left = fuse.count if fuse else 0

    def around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method with a crash before or after it, if this is its turn."""
        fuse = self._fuse
        if fuse is None or fuse.method != name:
            return method
        self._left -= 1
        if self._left:
            return method

        def crashing(*arguments: Any, **options: Any) -> Any:
            if not fuse.before:
                method(*arguments, **options)
            raise Crash(f"{'before' if fuse.before else 'after'} {name}")

        return crashing


class _FragileLedger(Ledger):
    def __init__(self, path: Path, fused: _Fused) -> None:
        self.fused = fused
        super().__init__(path)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self.fused.around(name, found) if name in LEDGER_POINTS else found


class _FragileClient(Client):
    def __init__(self, endpoint: Endpoint, clock: Clock, fused: _Fused) -> None:
        self.fused = fused
        super().__init__(endpoint, clock=clock.seconds, sleep=clock.sleep)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self.fused.around(name, found) if name in CLIENT_POINTS else found


class Desk:
    """Somebody who issues orders: each call is a run of the program, with a ledger opened anew."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.bank = Bank(directory / "account.db", self.clock)
        self.bank.start()
        self._path = directory / "ledger.db"
        self.ledger = Ledger(self._path)  # for looking; a run has its own

    def close(self) -> None:
        """Close shop."""
        self.ledger.close()
        self.bank.close()

    # --- runs ----------------------------------------------------------------------------------------------------

    def create(
        self,
        plan: Plan,
        weather: Weather = FAIR,
        *,
        name: str | None = None,
        again: bool = False,
        max_total: Decimal | None = None,
    ) -> Run:
        """Run `order create`. Raises GuardRefused or Crash."""
        asked = Asked(ENVIRONMENT, ACCOUNT, name=name, again=again, max_total=max_total)
        with plan, self._run(weather) as issuing, issuing.create(plan, asked) as run:
            self._show(issuing, run)
        return run

    def resume(self, batch: Batch, weather: Weather = FAIR) -> Run:
        """Run `batch resume`. Raises Crash."""
        with self._run(weather) as issuing, issuing.claimed(batch):
            run = issuing.finish(batch)
            self._show(issuing, run)
        return run

    def abandon(self, batch: Batch) -> None:
        """Run `batch abandon`."""
        for order in self.ledger.orders(batch, [State.SENT, State.PREPARED]):
            self.ledger.mark_abandoned(order, self.clock.now())

    @contextmanager
    def _run(self, weather: Weather) -> Iterator[Issuing]:
        self.bank.meet(weather)
        fused = _Fused(weather.crash)
        key = f"{ACCOUNT}.{'secret' if weather.key_works else 'revoked'}"
        endpoint = Endpoint(self.bank.url if weather.reachable else NOWHERE, key, "2024-02-05")
        tools = Tools(clock=self.clock.seconds, sleep=self.clock.sleep, now=self.clock.now, jitter=lambda: 0.5)
        with _FragileLedger(self._path, fused) as ledger:
            yield Issuing(
                ledger=ledger,
                client=_FragileClient(endpoint, self.clock, fused),
                terms=Terms(timeout=TIMEOUT),
                progress=Silent(),
                say=lambda _: None,
                governor=Governor(clock=self.clock.seconds, sleep=self.clock.sleep),
                tools=tools,
            )

    def _show(self, issuing: Issuing, run: Run) -> None:
        if not run.tally.any(State.PREPARED, State.SENT):
            issuing.ledger.mark_shown(run.batch, self.clock.now())

    # --- what the ledger says ------------------------------------------------------------------------------------

    def batch_ids(self) -> list[int]:
        """Return the batches there are, oldest first."""
        return [batch.id for batch in self.ledger.batches(oldest_first=True)]

    def lines(self, batch: Batch) -> list[Line]:
        """Return the results of a batch as they are shown."""
        return [results.from_ledger(result) for result in self.ledger.results(batch)]

    def purchases(self, batch_id: int | None = None) -> list[dict[str, Any]]:
        """Return every order ever recorded, replaced ones too."""
        return [
            dict(row)
            for row in self.ledger._select(
                "SELECT idempotency_key, state, order_id, position, batch_id FROM purchase"
                " WHERE ? IS NULL OR batch_id = ?",
                batch_id,
                batch_id,
            )
        ]

    def recorded(self, batch_id: int, *states: State, shown: bool = True) -> Counter[Gift]:
        """Count the gifts of a batch in some states: those of its results, or those that an edit took out of them."""
        rows = self.ledger._select(
            "SELECT gift.item, purchase.body, purchase.state FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
            f" WHERE batch_id = ? AND gift.row {'>' if shown else '<'} 0",
            batch_id,
        )
        return Counter(_gift(row["item"], row["body"]) for row in rows if State(row["state"]) in states)


def _gift(item: str, body: bytes) -> Gift:
    document: Any = jsontext.loads(item)
    order: Any = jsontext.loads(body)
    return gifts_of({"items": [document], "description": order.get("description")})[0]
