"""`runa`, and `python -m runa_cli`."""

import gc
import sys
from typing import NoReturn

from runa_cli import __version__

_GARBAGE = 100_000  # objects, tens of MB at most, after which the garbage collector looks for those that need it


def main() -> NoReturn:
    """Run the program and exit with its code."""
    if sys.argv[1:] == ["--version"]:  # answered here: to import the command line takes three times as long
        try:
            print(f"runa {__version__}", flush=True)  # noqa: T201
            sys.exit(0)
        except OSError:
            pass  # the command line fails as well, and reports it
    # What is loaded stays, and rows and replies are freed without the collector. It would look through all of the
    # program again and again, which takes a tenth of the time of a short command.
    gc.set_threshold(_GARBAGE)
    from runa_cli import cli

    try:
        cli.main()
    finally:
        gc.freeze()  # else the interpreter looks through everything once more before it ends


if __name__ == "__main__":
    main()
