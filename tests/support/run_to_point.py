"""Runs the program in this process until it reaches a point of its code, and kills it there with SIGKILL."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # it is started by its path, from anywhere


def main() -> None:
    """Run `runa` with the arguments after the point."""
    from runa_cli import cli
    from tests.support.code_points import kill, watch

    point, *arguments = sys.argv[1:]
    sys.argv[1:] = arguments
    watch({point: kill})
    cli.main()


if __name__ == "__main__":
    main()
