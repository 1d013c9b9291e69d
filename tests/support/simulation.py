"""Somebody who issues orders with the real program, at a bank whose books are open, while time and faults are ours."""

import json
import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from runa_cli.core.states import State
from runa_cli.emulator.faults import Faults
from runa_cli.ledger import results
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch
from runa_cli.ledger.results import ResultRow
from runa_cli.ledger.rows import from_timestamp
from tests.support.fork_server import Running, Start, fork_server
from tests.support.ledger_places import FilePlace, Place, Trouble
from tests.support.ran import LONGEST, Ran
from tests.support.shared_time import EmulatorOnSharedTime, SharedTime
from tests.support.story_server import ServerPlace, StoryServer
from tests.support.typed import Meaning, recipient, wire_meaning

ACCOUNT, SECRET, REVOKED = "xxtests", "secret~part", "revoked"
NOWHERE = "http://127.0.0.1:9/v2"  # nothing listens there
PROCESSING = 3.0
ALWAYS = ("--json", "--verbose")
KILLED, INTERRUPTED = -9, 130
TIMEOUT = "20"  # seconds of the clock, enough for five attempts


@dataclass(frozen=True)
class Weather:
    """What one run meets: faults at Runa, a network, a key and a balance that are good or not, and perhaps its end.

    `killed_at` and `interrupted_at` (by Ctrl-C) are points of its code, `trouble` is that of the ledger.
    """

    faults: tuple[str, ...] = ()
    reachable: bool = True
    key_works: bool = True
    funds: bool = True
    killed_at: str | None = None
    interrupted_at: str | None = None
    trouble: Trouble | None = None


FAIR = Weather()


class Held(NamedTuple):
    """A gift as the ledger holds it, or held it before it was pruned; of two of a kind the newer has the higher id.

    `hidden` is one that an edit of the file took out of the results. `unsent` means that Runa cannot know it.
    """

    id: int
    key: str
    batch_id: int
    named: bool
    from_file: bool
    hidden: bool
    unsent: bool
    state: State
    settled_at: datetime | None
    meaning: Meaning
    reference: str

    def is_same_as(self, meaning: Meaning, reference: str) -> bool:
        """Tell whether it is the same gift; beside an address, no reference may be any."""
        return self.meaning == meaning and (not self.reference or not reference or self.reference == reference)


class Bank(EmulatorOnSharedTime):
    """An emulated account on our clock, whose faults and funds can be set from run to run, and whose books are open."""

    def __init__(self, path: Path, time: SharedTime) -> None:
        super().__init__(path, time, processing_seconds=PROCESSING)
        self._read: dict[bytes, dict[str, Any]] = {}  # an order never changes, and reading it takes its time

    def meet(self, weather: Weather) -> None:
        """Behave like this from now on."""
        self._faults = Faults(weather.faults if weather.funds else ("no-funds@*",))

    def paid(self) -> dict[str, dict[str, Any]]:
        """Return the orders that were paid for, each by the key that it is stamped with."""
        assert self._store is not None
        documents = [self._document(order.full) for order in self._store.orders(100_000)]
        orders = [order for order in documents if order["status"] == "COMPLETED"]
        paid = {order["metadata"]["runa_cli_key"]: order for order in orders}
        assert len(orders) == len(paid), "one key paid for two orders"
        return paid

    def made(self) -> set[str]:
        """Return the keys of all orders that were or may yet be paid for."""
        assert self._store is not None
        documents = [self._document(order.full) for order in self._store.orders(100_000)]
        return {order["metadata"]["runa_cli_key"] for order in documents if order["status"] != "FAILED"}

    def ids(self) -> set[str]:
        """Return the ids of all orders in the list, FAILED ones too, of which Runa may show nothing else."""
        assert self._store is not None
        return {order.order_id for order in self._store.orders(100_000)}

    def made_for(self, name: str) -> Counter[Meaning]:
        """Count the gifts of the orders that are stamped with the name of a batch and were or may yet be paid for."""
        assert self._store is not None
        documents = [self._document(order.full) for order in self._store.orders(100_000)]
        made = [order for order in documents if order["status"] != "FAILED"]
        own = [order for order in made if order["metadata"].get("runa_cli_batch") == name]
        return Counter(wire_meaning(item) for order in own for item in order["items"])

    def finish_requests(self) -> None:
        """Wait until every request that has reached the bank is dealt with, those of killed processes too."""
        assert self._server is not None
        with socket.create_connection(("127.0.0.1", self._server.server_port)) as last:  # accepted after all others
            last.sendall(b"GET /v2/ping HTTP/1.0\r\n\r\n")
            while last.recv(4096):
                pass
        server = self._server
        with server._changed:
            server._changed.wait_for(lambda: not server._open, LONGEST)

    def _document(self, body: bytes) -> dict[str, Any]:
        if body not in self._read:
            self._read[body] = json.loads(body)
        return self._read[body]

    @property
    def posts(self) -> int:
        """How often an order was posted."""
        return sum(method == "POST" for method, _, _ in self.requests)


told: Counter[str] = Counter()  # what the runs of this process came to, for a report


class Desk:
    """Somebody who issues orders: each call is a run of the program."""

    def __init__(self, directory: Path, stories: StoryServer | None = None) -> None:
        """`stories` is the server on which the ledger is; by default it is in a file."""
        self.time = stories.begin() if stories else SharedTime(frozen=True)
        self.skew = timedelta(0)  # what the program's calendar is wrong by
        self.bank = Bank(directory / "account.db", self.time)
        self.bank.start()
        self._home = directory / "home"
        self._home.mkdir()
        self._place: Place = ServerPlace(stories) if stories else FilePlace(self._home)
        self.ledger = Ledger(self._place.address)  # for looking; a run has its own
        self.shown: list[str] = []
        self._remembered: dict[tuple[str, int], tuple[Meaning, str]] = {}
        self._machines = 0
        self._in_trouble = False  # in the run that was begun last

    def close(self) -> None:
        """Close shop."""
        self.ledger.close()
        self._place.close()
        self.bank.close()

    def now(self) -> datetime:
        """Return the time that the program believes."""
        return self.time.now() + self.skew

    def begin(self, *arguments: str, weather: Weather = FAIR, stdin: str = "", paused_at: str | None = None) -> Running:
        """Start the program."""
        self.bank.meet(weather)
        return self._begin(arguments, weather, stdin, paused_at)

    def run(self, *arguments: str, weather: Weather = FAIR, stdin: str = "") -> Ran:
        """Run the program to its end, or to where it is killed."""
        return self.end(self.begin(*arguments, weather=weather, stdin=stdin))

    def export(self, name: str) -> Ran:
        """Let the results of a batch be written as CSV."""
        self.bank.meet(FAIR)
        return self.end(self._begin(("batch", "export", name), FAIR, "", None, output=("--output", "csv")))

    def run_meanwhile(self, *arguments: str, stdin: str = "") -> Ran:
        """Run the program to its end while another run is under way, in the weather that there is."""
        told["second processes"] += 1
        return self.end(self._begin(arguments, FAIR, stdin, None))

    def end(self, running: Running) -> Ran:
        """Wait for the end of a run."""
        ran = running.end()
        if ran.code in {KILLED, INTERRUPTED}:
            self.bank.finish_requests()
        if ran.code == KILLED or self._in_trouble:
            self._place.end_claims()
        assert "Traceback" not in ran.err, ran.err
        assert 1 != ran.code, ran.err
        told.update(["runs", f"exit {ran.code}"])
        self.shown += [ran.out, ran.err]
        return ran

    def _begin(
        self,
        arguments: tuple[str, ...],
        weather: Weather,
        stdin: str,
        paused_at: str | None,
        output: tuple[str, ...] = ALWAYS,
    ) -> Running:
        env = {
            "HOME": str(self._home),
            "PATH": os.environ["PATH"],
            "RUNA_ENV": "playground",
            "RUNA_BASE_URL": self.bank.url if weather.reachable else NOWHERE,
            "RUNA_API_KEY": f"{ACCOUNT}.{SECRET if weather.key_works else REVOKED}",
            "RUNA_TIMEOUT": TIMEOUT,
            **self._place.environment(weather.trouble),
        }
        self._in_trouble = weather.trouble is not None
        told["ledgers in trouble"] += self._in_trouble
        return fork_server().begin(
            Start(
                arguments=(*arguments, *output),
                env=env,
                directory=str(self._home),
                frozen=True,
                skew=self.skew.total_seconds(),
                jitter=0.5,
                killed_at=self._point(weather.killed_at),
                interrupted_at=self._point(weather.interrupted_at),
                paused_at=self._point(paused_at),
                largest_file=self._place.largest_file(weather.trouble),
            ),
            self.time,
            stdin=stdin,
        )

    def _point(self, point: str | None) -> str | None:
        """Return a point of the code by the name that it has where this ledger is."""
        if point is None:
            return None
        event, name, number = (*point.split(":"), "1")[:3]
        return f"{event}:{self._place.points.get(name, name)}:{number}"

    # --- what the ledger says ------------------------------------------------------------------------------------

    def batch_ids(self) -> list[int]:
        """Return the batches there are, oldest first."""
        return sorted(batch.id for batch in self.ledger.batches())

    def lines(self, batch: Batch) -> list[ResultRow]:
        """Return the results of a batch as they are shown."""
        return [results.row_from_ledger(result) for result in self.ledger.results(batch)]

    def purchases(self, batch_id: int | None = None) -> list[dict[str, Any]]:
        """Return every order ever recorded, replaced ones too."""
        rows = self.ledger._engine.select(
            "SELECT idempotency_key, state, order_id, position, generation, batch_id, first_sent_at FROM purchase"
            " ORDER BY id"
        )
        return [dict(row) for row in rows if batch_id in {None, row["batch_id"]}]

    def held(self) -> list[Held]:
        """Return all gifts that the ledger holds, but for those that Runa rejected and an edit took out."""
        rows = self.ledger._engine.select(
            "SELECT gift.id, slot, row, reference, carried, item, idempotency_key, state, first_sent_at, settled_at,"
            " batch_id, named, source FROM gift JOIN purchase ON purchase.id = gift.purchase_id"
            " JOIN batch ON batch.id = purchase.batch_id"
        )
        return [
            Held(
                *(row["id"], row["idempotency_key"], row["batch_id"], bool(row["named"]), row["source"] == "file"),
                row["row"] < 0,
                row["state"] == State.PREPARED and row["first_sent_at"] is None,
                State(row["state"]),
                from_timestamp(row["settled_at"]),
                *self._meant(row),
            )
            for row in rows
        ]

    def _meant(self, row: Any) -> tuple[Meaning, str]:
        """Return what is meant by a recorded gift and its reference, remembered from before it was pruned."""
        place = (row["idempotency_key"], row["slot"])
        if row["item"] != "{}":
            wire, reference = wire_meaning(json.loads(row["item"])), row["reference"] or ""
            whom = recipient(wire.recipient, reference, json.loads(row["carried"]))
            self._remembered[place] = wire._replace(recipient=whom), reference if wire.recipient else ""
        return self._remembered[place]

    def search_differences(self) -> list[str]:
        """Return how what a search reads differs from the gifts."""
        return self._place.search_differences()

    # --- other ledgers -------------------------------------------------------------------------------------------

    def copy_of_the_ledger(self) -> Any:
        """Return a copy of the ledger, as somebody makes one while nothing runs."""
        self.ledger.close()  # whoever closes a file gives up the locks that SQLite holds on it
        copy = self._place.copy()
        self.ledger = Ledger(self._place.address)
        return copy

    def restore(self, copy: Any) -> None:
        """Put a copy in the ledger's place."""
        self.ledger.close()
        self._place.restore(copy)
        self.ledger = Ledger(self._place.address)

    @contextmanager
    def on_another_machine(self) -> Iterator[None]:
        """Run the program with the same account and another ledger, new and empty."""
        home, place, ledger = self._home, self._place, self.ledger
        self._machines += 1
        self._home = home.with_name(f"machine-{self._machines}")
        self._home.mkdir()
        self._place = place.another(self._home)
        self.ledger = Ledger(self._place.address)
        try:
            yield
        finally:
            self.ledger.close()
            self._place.close()
            self._home, self._place, self.ledger = home, place, ledger

    # --- what lies about -----------------------------------------------------------------------------------------

    def everything_written(self) -> Iterator[bytes]:
        """Yield all that the program ever showed or left on the disk."""
        yield from (text.encode() for text in self.shown)
        homes = [self._home, *self._home.parent.glob("machine-*")]
        yield from (path.read_bytes() for home in homes for path in home.rglob("*") if path.is_file())
        yield from self._place.everything()
