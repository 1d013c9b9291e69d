"""`python -m tests.benchmarks [NAME...] [--quick]`: measures the program against its targets, and prints a table."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import ledgers, on_server, sending, starting
from tests.benchmarks.measure import Line, Unmeasurable, own_peak, table, unmeasured
from tests.benchmarks.setting import FULL, QUICK, TINY, Bench

BENCHMARKS = {
    "version": starting.version,
    "help": starting.help_texts,
    "one-order": starting.one_order,
    "minute": sending.orders_a_minute,
    "rows": sending.many_rows,
    "memory": sending.memory,
    "ledger": ledgers.large_ledger,
    "lists": ledgers.lists,
    "reports": ledgers.reports,
    "postgres": on_server.ledger_on_server,
}


def main() -> int:
    """Run the benchmarks that are named, or all, and return the exit code: 0, whatever they measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *BENCHMARKS], help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="a tenth of the size: minutes instead of half an hour")
    parser.add_argument("--tiny", action="store_true", help="so small that its figures mean nothing: for the tests")
    chosen = parser.parse_args()
    size = TINY if chosen.tiny else QUICK if chosen.quick else FULL
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="runa-benchmarks-") as directory:
        bench = Bench(size, Path(directory))
        for name in chosen.names or BENCHMARKS:
            sys.stderr.write(f"{name} …\n")
            try:
                lines += BENCHMARKS[name](bench)
            except Unmeasurable as reason:
                lines.append(unmeasured(name, reason))
    sys.stdout.write(f"{table(lines)}\n")
    sys.stderr.write(f"This process took {own_peak():.0f} MiB; nothing smaller can be measured.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
