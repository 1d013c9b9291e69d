"""Files of results: written completely or not at all, and readable by their owner alone."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become the file when the block ends. Raises OSError.

    Where the block raises, an existing file stays as it was.
    """
    # In the same directory, so that it can replace the file in one step.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def obstacle(path: Path) -> str | None:
    """Return why a file cannot be written, as far as that can be told beforehand; None where it can."""
    if path.exists() and not path.is_file():
        return "it is a directory" if path.is_dir() else "it is no regular file"
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        return f"{path.parent}: {error.strerror}" if error.filename else str(error.strerror)
    os.close(handle)
    Path(temporary).unlink()
    return None
