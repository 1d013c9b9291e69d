"""`runa`, and `python -m runa_cli`."""

import sys
from typing import NoReturn

from runa_cli import __version__


def main() -> NoReturn:
    """Run the program and exit with its code."""
    if sys.argv[1:] == ["--version"]:  # answered here: to import the command line takes three times as long
        try:
            print(f"runa {__version__}", flush=True)  # noqa: T201
            sys.exit(0)
        except OSError:
            pass  # the command line fails as well, and reports it
    from runa_cli.core.garbage import collect_rarely, stop_collecting

    collect_rarely()
    from runa_cli import cli

    try:
        cli.main()
    finally:
        stop_collecting()


if __name__ == "__main__":
    main()
