"""Marks as many orders of a batch as sent as the rate limit allows: `URL BATCH LIMIT`. Writes how many those are."""

import sys
from datetime import UTC, datetime

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.orders import Turn, TurnLater


def main() -> None:
    """Mark every order of the batch as sent that may be."""
    url, name, limit = sys.argv[1:]
    sent = 0
    with Ledger(ServerLedger(url), patience=60) as ledger:
        batch = ledger.batch("local", name)
        assert batch is not None
        assert ledger.claim(batch)
        _write("ready")
        sys.stdin.readline()
        for order in ledger.orders(batch):
            try:
                ledger.mark_sent(
                    order, "xxtests", check=lambda: None, now=datetime.now(UTC), turn=Turn(int(limit), 600.0)
                )
            except TurnLater:
                continue
            sent += 1
    _write(str(sent))


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
