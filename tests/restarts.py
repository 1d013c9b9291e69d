"""A server that is stopped as by a power cut and started again, in a loop, while hosts issue a batch from its ledger.

`python -m tests.restarts` issues 10,000 gifts in 500 orders from three homes, of which one works on the batch at a time
and the others come again. Each host must end with exit 0, before that at most with those codes that say "again"; every
gift is then there once, and each host has the link of each person. The exit code is 1 if it is not so.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runa_cli.emulator.server import Emulator
from tests.support import postgres
from tests.support.csv_files import gifts, links_by_address, rows_of, sheet
from tests.support.kill_cases import HONEST
from tests.support.postgres import Database, Server
from tests.support.program import KEY, Program
from tests.support.ran import Ran

UP, DOWN = (0.3, 5.0), (0.0, 0.3)  # seconds, from and to; a large batch is recorded in one transaction
AGAIN = {
    75: {"not_issued"},
    **{code: HONEST[code] for code in (4, 7, 8, 9)},
}  # what a host may end with, and come again
RUNS_ENOUGH = 1000
LONGEST = 1800  # seconds that a run may take
BUSY_PAUSE = 0.2  # seconds until a host comes again


@dataclass
class Report:
    """What came of it."""

    restarts: int = 0
    ends: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = ", ".join(f"{number} with exit {code}" for code, number in sorted(self.ends.items()))
        return f"{self.restarts} restarts, runs that ended: {ends}; {len(self.faults)} missing, doubled or untrue"


@contextmanager
def restarting(server: Server, database: Database, report: Report, seed: int) -> Iterator[None]:
    """Stop the server at once and start it again, until the block is left; at the end it runs.

    It is first stopped as soon as an order is being sent.
    """
    over = threading.Event()
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret

    def loop() -> None:
        while not over.wait(0.01) and not database.run("SELECT id FROM purchase WHERE state = 'sent' LIMIT 1"):
            pass
        while not over.wait(chance.uniform(*UP) if report.restarts else 0):
            server.cluster.stop("immediate")
            time.sleep(chance.uniform(*DOWN))
            server.cluster.start()
            report.restarts += 1

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(loop)
        try:
            yield
        finally:
            over.set()
        running.result()


def issue(server: Server, directory: Path, *, count: int, orders: int, hosts: int, seed: int = 0) -> Report:
    """Issue that many gifts in that many orders from some hosts meanwhile, and count."""
    report, database = Report(), server.database()
    rows = gifts(count, orders=orders)
    with Emulator(directory / "account.db", processing_seconds=0.05) as emulator:
        homes = [_host(directory / f"host{number}", emulator, database, rows) for number in range(hosts)]
        with restarting(server, database, report, seed), ThreadPoolExecutor(hosts) as at_once:
            list(at_once.map(lambda host: _issue_from(host, report), homes))
        made = links_by_address(emulator)
        for address in sorted({row["email"] for row in rows} | made.keys()):
            if len(made.get(address, [])) != 1:
                report.faults.append(f"{address} has {len(made.get(address, []))} gifts")
        for host in homes:
            _compare(host, made, report)
    if set(database.run("SELECT state FROM purchase")) != {("completed",)}:
        report.faults.append("an order is not completed in the ledger")
    return report


def _host(home: Path, emulator: Emulator, database: Database, rows: Sequence[Mapping[str, str]]) -> Program:
    home.mkdir()
    sheet(home / "gifts.csv", [dict(row) for row in rows])
    env = {
        "RUNA_ENV": "local", "RUNA_API_KEY": KEY, "RUNA_BASE_URL": emulator.url, "RUNA_LEDGER": database.url,
    }  # fmt: skip
    return Program(home, env)


def _issue_from(host: Program, report: Report) -> None:
    """Run the command until it is done."""
    command = ("order", "create", "--file", "gifts.csv", "--batch", "bonus", "--no-preflight", "--concurrency", "8")
    for _ in range(RUNS_ENOUGH):
        running = host.start(*command, "--results", "results.csv", "--json")
        out, err = running.communicate(timeout=LONGEST)
        ran = Ran(running.returncode, out, err)
        report.ends[ran.code] += 1
        if ran.code == 0:
            return
        if "Traceback" in ran.err or ran.code not in AGAIN or not _is_honest(ran):
            report.faults.append(f"{host.home.name} ended with exit {ran.code}: {ran.err.strip()[-500:]}")
            return
        time.sleep(BUSY_PAUSE)
    report.faults.append(f"{host.home.name} was not done after {RUNS_ENOUGH} runs")


def _is_honest(ran: Ran) -> bool:
    return ran.error["money"] in AGAIN[ran.code]


def _compare(host: Program, made: Mapping[str, Sequence[str]], report: Report) -> None:
    results = host.home / "results.csv"
    shown = {row["email"]: [row["payout_url"]] for row in rows_of(results.read_text())} if results.exists() else {}
    wrong = [address for address in shown.keys() | made.keys() if shown.get(address) != made.get(address)]
    report.faults.extend(f"{host.home.name} has {shown.get(each)} for {each}" for each in sorted(wrong))


def main() -> int:
    """Run it and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gifts", type=int, default=10_000)
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, postgres.server() as server:
        report = issue(
            server, Path(directory), count=wanted.gifts, orders=wanted.orders, hosts=wanted.hosts, seed=wanted.seed
        )
    sys.stdout.write(
        f"{wanted.gifts:,} gifts in {wanted.orders} orders from {wanted.hosts} hosts, {report};"
        f" {time.monotonic() - started:.0f} s\n"
    )
    sys.stdout.writelines(f"{fault}\n" for fault in report.faults[:20])
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
