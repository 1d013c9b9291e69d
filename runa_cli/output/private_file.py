"""Files of results: written completely or not at all, and readable by their owner alone."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def private_file(path: Path, *, lasting: bool = True) -> Iterator[BinaryIO]:
    """Yield a stream whose bytes become the file when the block ends. Raises OSError.

    Where the block raises, an existing file stays as it was. `lasting`: it must outlast a failure of the power.
    """
    # In the same directory, so that it can replace the file in one step.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w+b") as stream:
            yield stream
            stream.flush()
            if lasting:
                os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def try_private_file(path: Path) -> str | None:
    """Check that a file can be written, and leave nothing behind. Raises OSError where the system refuses that.

    Returns what the path is instead where it is no file.
    """
    if path.exists() and not path.is_file():
        return "it is a directory" if path.is_dir() else "it is no regular file"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    Path(temporary).unlink()
    return None
