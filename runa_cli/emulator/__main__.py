"""`python -m runa_cli.emulator`: serves in the foreground until SIGTERM or SIGINT."""

import argparse
import contextlib
import errno
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from runa_cli.emulator.server import Emulator

UNUSABLE = (
    OSError,
    ValueError,
    OverflowError,
    sqlite3.Error,
)  # from an unusable host, port or file


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve as the arguments say. Returns 0, 1 if a scripted fault did not occur, or 4 if the emulator cannot start."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        emulator = Emulator(
            options.db,
            host=options.host,
            port=options.port,
            faults=options.fault,
            processing_seconds=options.processing_seconds,
        )
    except ValueError as unknown:
        parser.error(str(unknown))
    try:
        emulator.start()
    except UNUSABLE as unusable:
        sys.stderr.write(f"The emulator cannot start: {reason(unusable, options.port)}\n")
        return 4
    return run(emulator)


def run(emulator: Emulator) -> int:
    """Print the base URL of a started emulator and serve until a signal.

    Returns 0, or 1 if a scripted fault did not occur.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: emulator.shutdown())
    with contextlib.closing(emulator):
        sys.stdout.write(f"{emulator.url}\n")
        sys.stdout.flush()
        emulator.serve_forever()
    for fault in emulator.unhit_faults:
        sys.stderr.write(f"The fault {fault} was scripted but did not occur.\n")
    return 1 if emulator.unhit_faults else 0


def reason(unusable: Exception, port: int) -> str:
    """Return why an emulator cannot start."""
    if isinstance(unusable, OSError) and unusable.errno == errno.EADDRINUSE:
        return f"port {port} is taken; --port 0 takes a free one."
    return str(unusable)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runa_cli.emulator", description=__doc__)
    parser.add_argument("--db", type=Path, required=True, help="the SQLite file of the account")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on; 0 takes a free one")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME@N", help="misbehave; may be repeated")
    parser.add_argument(
        "--processing-seconds", type=float, default=1.0, metavar="S", help="how long an asynchronous order takes"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
