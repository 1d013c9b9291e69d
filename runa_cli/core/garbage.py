"""How often the garbage collector looks for objects that refer to one another and that nothing else refers to."""

import gc

_LOADING = 100_000  # new objects, after which it looks; what is loaded are fewer
_WORKING = 20_000  # a few MB


def collect_rarely() -> None:
    """Let it wait while the program is loaded: all of that stays, and to look through it takes a tenth of a command."""
    gc.set_threshold(_LOADING)


def collect_often() -> None:
    """Let it look at what comes from now on, as for work on many rows. What is there already stays."""
    gc.freeze()
    gc.set_threshold(_WORKING)


def stop_collecting() -> None:
    """Let it look at nothing more: else the interpreter looks through everything once more before it ends."""
    gc.freeze()
