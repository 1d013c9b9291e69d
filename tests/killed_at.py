"""Runs the program and kills it with SIGKILL at one point of its code; a point never reached fails the test."""

import os
import signal
import sys

from tests.points import watch


def main() -> None:
    """Run `runa` with the arguments after the point."""
    point = sys.argv[1]
    sys.argv[1:] = sys.argv[2:]
    from runa_cli import cli

    watch({point: lambda: os.kill(os.getpid(), signal.SIGKILL)})
    cli.main()


if __name__ == "__main__":
    main()
