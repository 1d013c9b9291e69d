"""How often the garbage collector looks for objects that refer to one another and that nothing else refers to."""

import gc

_LOADING = 100_000  # new objects, after which it looks; what is loaded are fewer
_WORKING = 20_000  # a few MB


def collect_rarely() -> None:
    """Make it wait while the program is loaded: what is loaded stays, and looking at it takes a tenth of a command."""
    gc.set_threshold(_LOADING)


def collect_often() -> None:
    """Make it look often at objects made from now on, as work on many rows leaves some. Earlier ones are left alone."""
    gc.freeze()
    gc.set_threshold(_WORKING)


def stop_collecting() -> None:
    """Make it leave everything alone: the interpreter would look at all objects once more before it ends."""
    gc.freeze()
