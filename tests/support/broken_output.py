"""Standard outputs that cannot be written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def broken_output(kind: str) -> Iterator[dict[str, Any]]:
    """Give what starts a run with a standard output that cannot be written: closed, full, or left by its reader."""
    if kind == "closed":
        yield {"closed": (1,)}
        return
    if kind == "full":
        stream = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stream = os.pipe()
        os.close(reader)
    try:
        yield {"stdout": stream}
    finally:
        os.close(stream)
