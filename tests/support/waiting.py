"""Waiting for what happens elsewhere, so that a test fails where it does not happen."""

import time
from collections.abc import Callable

from tests.support.ran import LONGEST


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, but not for ever."""
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, f"it was not so within {LONGEST} seconds"
        time.sleep(0.005)
