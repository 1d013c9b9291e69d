"""Stories of the state machine, new ones each time: `python -m tests.stories --stories 250`.

Prints what was told; where a promise is broken, the shortest story that breaks it, and exits 1.
"""

import argparse
import sys
import time
import traceback
from contextlib import ExitStack

from hypothesis.stateful import run_state_machine_as_test

from tests.app.test_state_machine import Issue, on_server, telling
from tests.support import postgres, shell_signals
from tests.support.simulation import told
from tests.support.story_server import StoryServer


def main() -> int:
    """Tell the stories and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=250, help="how many are told")
    parser.add_argument("--steps", type=int, default=30, help="how many steps one has at most")
    parser.add_argument("--first", action="store_true", help="show the first story found, not the shortest: faster")
    parser.add_argument("--ledger", choices=["sqlite", "postgresql"], default="sqlite", help="where the ledger is")
    wanted = parser.parse_args()
    shell_signals.restore()
    started, broken = time.monotonic(), False
    try:
        how = telling(wanted.stories, wanted.steps, new=True, shortest=not wanted.first)
        with ExitStack() as stack:
            on_postgresql = wanted.ledger == "postgresql"
            story = on_server(StoryServer(stack.enter_context(postgres.server()))) if on_postgresql else Issue
            run_state_machine_as_test(story, settings=how)
    except Exception:  # noqa: BLE001 - a broken promise is what is looked for, and the harness's own mistakes count too
        traceback.print_exc()
        broken = True
    ends = ", ".join(f"{count} with {end}" for end, count in sorted(told.items()) if end.startswith("exit "))
    sys.stdout.write(
        f"{wanted.stories} stories, {told['runs']} runs of the program ({ends}), {told['ledgers in trouble']} on a full"
        f" disk or with a server that is lost, {told['second processes']} beside another,"
        f" {'a promise is broken' if broken else 'no promise broken'}; {time.monotonic() - started:.0f} s\n"
    )
    moves = (f"{count} {move.removeprefix('move: ')}" for move, count in sorted(told.items()) if move[:5] == "move:")
    sys.stdout.write(f"Moves: {', '.join(moves)}\n")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
