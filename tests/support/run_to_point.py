"""Runs the program until one point of its code and ends it there; a point never reached fails the test that named it.

`kill` ends it with SIGKILL; `raise` with a defect that tells all it worked on.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # it is started by its path, from anywhere


def main() -> None:
    """Run `runa` with the arguments after how to end it and the point."""
    from runa_cli import cli
    from tests.support.code_points import watch

    how, point, *arguments = sys.argv[1:]
    sys.argv[1:] = arguments
    watch({point: _kill if how == "kill" else _raise})
    cli.main()


def _kill(_frame: FrameType, _result: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(frame: FrameType, result: Any) -> None:
    raise RuntimeError(f"{frame.f_locals} {result}")


if __name__ == "__main__":
    main()
