"""Runs the program and kills it with SIGKILL at one point of its code: `call:NAME` or `return:NAME`, perhaps `:N`.

NAME is a function's qualified name. The program itself knows nothing of this: the interpreter tells when functions
begin and end, in every thread. A point that is never reached leaves the program unharmed, and the test that named it
fails.
"""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any


def main() -> None:
    """Run `runa` with the arguments after the point."""
    event, name, *count = sys.argv[1].split(":")
    left = int(count[0]) if count else 1

    def watch(frame: FrameType, what: str, _: Any) -> None:
        nonlocal left
        if what == event and frame.f_code.co_qualname == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.argv[1:] = sys.argv[2:]
    from runa_cli import cli

    threading.setprofile(watch)
    sys.setprofile(watch)
    cli.main()


if __name__ == "__main__":
    main()
