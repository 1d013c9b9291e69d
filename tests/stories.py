"""Stories of the state machine, new ones each time: `python -m tests.stories --stories 250`.

Prints what was run; where a promise is broken, the shortest story that breaks it, and exits 1.
"""

import argparse
import sys
import time
import traceback

from hypothesis.stateful import run_state_machine_as_test

from tests.app.test_state_machine import Issue, story_settings
from tests.support.simulation import counts


def main() -> int:
    """Run the stories and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=250, help="how many are run")
    parser.add_argument("--steps", type=int, default=30, help="how many steps one has at most")
    wanted = parser.parse_args()
    started, broken = time.monotonic(), False
    try:
        run_state_machine_as_test(Issue, settings=story_settings(wanted.stories, wanted.steps, new=True))
    except Exception:  # noqa: BLE001 - a broken promise is what is looked for, and the harness's own mistakes count too
        traceback.print_exc()
        broken = True
    ends = ", ".join(f"{count} with {end}" for end, count in sorted(counts.items()) if end.startswith("exit "))
    sys.stdout.write(
        f"{wanted.stories} stories, {counts['runs']} runs of the program ({ends}), {counts['full disks']} on a full"
        f" disk, {counts['second processes']} beside another,"
        f" {'a promise is broken' if broken else 'no promise broken'};"
        f" {time.monotonic() - started:.0f} s\n"
    )
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
