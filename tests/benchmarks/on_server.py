"""What a ledger on a PostgreSQL server costs, against one in a file: the server is on this machine and its disk."""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from tests.benchmarks.measure import Command, Line, Unmeasurable, best, in_turns, limited, seconds
from tests.benchmarks.setting import GIFT, Bench, serving, write_gifts

if TYPE_CHECKING:
    from runa_cli.ledger.records import NewOrder

MORE = 0.150  # seconds that one order may take longer
RECORDED = 10.0  # seconds in which a large file is recorded
ORDER_EVERY = 100  # rows of a large file: so many fewer orders are sent one by one
PER_ORDER = 200

NewLedger = Callable[[], str]  # returns the URL of an empty one


def ledger_on_server(bench: Bench) -> list[Line]:
    """Compare a ledger on a server, reached by its socket, with one in a file."""
    with _server() as new_ledger, serving() as runa:
        return [
            _one_order(bench, new_ledger, runa),
            _recorded(bench, new_ledger),
            *_many_orders(bench, new_ledger, runa),
        ]


@contextmanager
def _server() -> Iterator[NewLedger]:
    from tests.support import postgres  # loads psycopg, which the other benchmarks need not carry

    if postgres.is_left_out():
        raise Unmeasurable(postgres.NOT_INSTALLED)
    with postgres.server(Path(tempfile.gettempdir())) as server:

        def new_ledger() -> str:
            socket = f"?host={server.cluster.sockets}&port={server.port}"
            return f"postgresql://{server.user}:{server.password}@/{server.database().name}{socket}"

        yield new_ledger


def _one_order(bench: Bench, new_ledger: NewLedger, runa: str) -> Line:
    url = new_ledger()

    def create(home: str, number: int) -> Command:
        address = ("--email", f"one{number}@example.com", "--mode", "sync", "-o", "links")
        return bench.runa(bench.home(home), "order", "create", *GIFT, *address, url=runa)

    runs, floor = in_turns(
        bench.size.starts,
        lambda number: _on(url, create("server", number)).run(),
        lambda number: create("file", number).run(),
    )
    wall, cpu = best(runs, lambda it: it.wall), best(runs, lambda it: it.cpu)
    floor_wall, floor_cpu = best(floor, lambda it: it.wall), best(floor, lambda it: it.cpu)
    return Line(
        "create of one order, ledger on a server, against one in a file",
        f"{seconds(wall)} (CPU {seconds(cpu)})",
        f"{seconds(floor_wall)} (CPU {seconds(floor_cpu)})",
        f"{(wall - floor_wall) * 1000:+.0f} ms",
        f"{MORE * 1000:+.0f} ms",
        wall - floor_wall <= MORE,
    )


def _recorded(bench: Bench, new_ledger: NewLedger) -> Line:
    """Record orders as a large file makes them, without the file."""
    from runa_cli.config.ledger_address import LedgerAddress, ServerLedger

    def record(address: LedgerAddress) -> float:
        from runa_cli.ledger.ledger import Ledger
        from tests.support.ledgers import new_batch

        with Ledger(address) as ledger:
            started = time.perf_counter()
            made = ledger.record(new_batch(1), _orders(bench.size.rows), known=[], check=list, now=datetime.now(UTC))
            assert made is not None
            return time.perf_counter() - started

    turns = range(_turns(bench))
    measured = min(record(ServerLedger(new_ledger())) for _ in turns)
    floor = min(record(bench.directory / f"recorded-{number}.db") for number in turns)
    return limited(
        f"{bench.size.rows:,} rows recorded on a server, against a file", measured, RECORDED, "s",
        floor=f"{floor:.3g} s", ratio=f"{measured / floor:.2f}",
    )  # fmt: skip


def _orders(rows: int) -> "Iterator[NewOrder]":
    """Yield orders whose gifts are as long as those of a file."""
    from tests.support.ledgers import order

    for position, first in enumerate(range(0, rows, PER_ORDER), 1):
        items = [_item(number) for number in range(first, min(first + PER_ORDER, rows))]
        made = order(1, position, gifts=len(items))
        gifts = [
            gift._replace(item=json.dumps(item), identity=_digest(number), same_gift=_digest(number)[:32])
            for number, (gift, item) in enumerate(zip(made.gifts, items, strict=True), first)
        ]
        yield structs.replace(made, body=json.dumps({"items": items}).encode(), gifts=gifts)


def _item(number: int) -> dict[str, object]:
    return {
        "face_value": 10 + number % 40,
        "distribution_method": {"type": "EMAIL", "email_address": f"person{number}@example.com"},
        "products": {"type": "SINGLE", "value": "AMZ-US"},
    }


def _digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _many_orders(bench: Bench, new_ledger: NewLedger, runa: str) -> list[Line]:
    """Send many orders of one gift, so that what each of them costs stands out."""
    orders = max(5, bench.size.rows // ORDER_EVERY)
    file = write_gifts(bench.directory / "orders.csv", orders, orders=orders)
    create = ("order", "create", "--file", str(file), "--no-preflight", *GIFT[-2:], "--rate-limit", "0", "-q")

    def issue(home: str) -> Command:
        return bench.runa(bench.home(home), *create, "-o", "links", url=runa)

    runs, floor = in_turns(
        _turns(bench),
        lambda number: _on(new_ledger(), issue(f"orders-server-{number}")).run(),
        lambda number: issue(f"orders-file-{number}").run(),
        warm=False,
    )
    lines = []
    for what, of in (("seconds", lambda it: it.wall), ("CPU of the program", lambda it: it.cpu)):
        measured, least = (best(samples, of) / orders * 1000 for samples in (runs, floor))
        name = f"an order, of {orders:,} in one run, ledger on a server, against a file: {what}"
        more = f"{measured - least:+.1f} ms"
        lines.append(Line(name, f"{measured:.1f} ms", f"{least:.1f} ms", more, "", None))
    return lines


def _turns(bench: Bench) -> int:
    return bench.size.turns // 2 + 1


def _on(url: str, command: Command) -> Command:
    return replace(command, env={**command.env, "RUNA_LEDGER": url})
