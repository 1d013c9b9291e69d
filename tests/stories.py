"""Stories of the state machine, new ones each time: `python -m tests.stories --stories 250`.

Prints what was told; where a promise is broken, the shortest story that breaks it, and exits 1.
"""

import argparse
import sys
import time
import traceback

from hypothesis.stateful import run_state_machine_as_test

from tests.app.test_state_machine import Issue, telling
from tests.support import shell_signals
from tests.support.simulation import told


def main() -> int:
    """Tell the stories and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=250, help="how many are told")
    parser.add_argument("--steps", type=int, default=30, help="how many steps one has at most")
    parser.add_argument("--first", action="store_true", help="show the first story found, not the shortest: faster")
    wanted = parser.parse_args()
    shell_signals.restore()
    started, broken = time.monotonic(), False
    try:
        how = telling(wanted.stories, wanted.steps, new=True, shortest=not wanted.first)
        run_state_machine_as_test(Issue, settings=how)
    except Exception:  # noqa: BLE001 - a broken promise is what is looked for, and the harness's own mistakes count too
        traceback.print_exc()
        broken = True
    ends = ", ".join(f"{count} with {end}" for end, count in sorted(told.items()) if end.startswith("exit "))
    sys.stdout.write(
        f"{wanted.stories} stories, {told['runs']} runs of the program ({ends}), {told['full disks']} on a full disk,"
        f" {told['second processes']} beside another, {'a promise is broken' if broken else 'no promise broken'};"
        f" {time.monotonic() - started:.0f} s\n"
    )
    moves = (f"{count} {move.removeprefix('move: ')}" for move, count in sorted(told.items()) if move[:5] == "move:")
    sys.stdout.write(f"Moves: {', '.join(moves)}\n")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
