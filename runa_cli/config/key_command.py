"""The API key that a command prints, such as that of a password manager."""

import shlex
import subprocess
import sys
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import IO, cast

from runa_cli.core.masking import mask_keys

LONGEST = 30.0  # seconds: enough to unlock a password manager, and short where nobody is there to do it
_MOST = 4097  # bytes read of what it prints; no key is as long


def program_of(command: str) -> str:
    """Return the first word of a command, which is all that is shown of it: the others may be secret."""
    words = _words(command)
    return mask_keys(words[0])


def printed_by(command: str, seconds: float = LONGEST) -> str:
    """Return what a command prints on its standard output. Its standard error goes where that of this program goes.

    The command is split into words as a shell does it, and run without a shell. It reads standard input only where that
    is a terminal: else it is the data of this program. Raises ValueError with the rest of a sentence that begins with
    the setting's name, and without anything that the command printed.
    """
    words = _words(command)
    program, until = program_of(command), monotonic() + seconds
    try:
        process = subprocess.Popen(words, stdin=_stdin(), stdout=subprocess.PIPE)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "its name cannot be one"
        raise ValueError(
            f"cannot run {program}: {reason}. It is run without a shell, which would replace ~ and $NAME"
        ) from error
    try:
        printed = _read(process, seconds)
        if len(printed) == _MOST:
            raise ValueError(f"gave no key: {program} printed more than a key")
        code = process.wait(max(0.0, until - monotonic()))
    except (Empty, subprocess.TimeoutExpired):
        raise ValueError(f"gave no key within {seconds:g} s: {program} was stopped") from None
    finally:
        process.kill()
        process.wait()
    if code:
        ended = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        raise ValueError(f"gave no key: {program} {ended}")
    try:
        return printed.decode()
    except UnicodeDecodeError:
        raise ValueError(f"gave no key: {program} printed what is not text") from None


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        raise ValueError("cannot be split into words: a quote is not closed, or a backslash ends it") from None
    if not words:
        raise ValueError("is empty")
    return words


def _stdin() -> int | None:
    readable = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
    return None if readable else subprocess.DEVNULL


def _read(process: "subprocess.Popen[bytes]", seconds: float) -> bytes:
    """Return what a process prints, up to more than any key. Raises Empty where its output does not end in time.

    What it started itself may hold the output open, so it is read in a thread that is abandoned then.
    """
    read = SimpleQueue[bytes]()

    def run() -> None:
        with cast(IO[bytes], process.stdout) as output:
            read.put(output.read(_MOST))

    Thread(target=run, daemon=True).start()
    return read.get(timeout=seconds)
