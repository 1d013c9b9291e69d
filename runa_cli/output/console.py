"""Standard error: notes, warnings, errors, log lines and questions.

Messages never decide about money: where standard error is closed or full, they are dropped.
"""

import io
import logging
import sys
from contextlib import suppress
from typing import IO, Any, cast

from rich.console import Console as RichConsole
from rich.text import Text

from runa_cli.core import exact_json
from runa_cli.core.errors import RunaError
from runa_cli.core.safe_text import printable, printable_lines


class Unbreakable(io.TextIOBase):
    """A text stream that swallows what cannot be written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError, AttributeError):
            return int(self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        with suppress(OSError, ValueError, AttributeError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether a person reads along."""
        with suppress(OSError, ValueError, AttributeError):
            return bool(self._stream.isatty())
        return False

    @property
    def encoding(self) -> str:  # type: ignore[override] # the base class has an attribute here
        """The encoding of the stream beneath."""
        return getattr(self._stream, "encoding", None) or "utf-8"


class Console:
    """Standard error, as loud as it was asked to be."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False, no_color: bool = False) -> None:
        self.quiet = quiet
        self._as_json = as_json
        self._stream = Unbreakable(sys.stderr)
        self.console = RichConsole(
            file=cast(IO[str], self._stream),
            color_system=None if no_color else "auto",
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads along."""
        return self._stream.isatty()

    def say(self, sentence: str) -> None:
        """Say what should be known, unless asked to be quiet."""
        if not self.quiet:
            self._print(Text(printable_lines(sentence)))

    def warn(self, sentence: str) -> None:
        """Say what should be minded, even when asked to be quiet."""
        self._print(Text.assemble(("Warning: ", "yellow"), printable_lines(sentence)))

    def error(self, error: RunaError) -> None:
        """Say what went wrong: one paragraph, or one line of JSON."""
        if self._as_json:
            self._stream.write(exact_json.dumps_for_display(error.as_dict()) + "\n")
            self._stream.flush()
            return
        self._print(Text.assemble(("Error: ", "bold red"), printable_lines(error.message)))
        for hint in filter(None, [error.hint, _names(error)]):
            self._print(Text(printable_lines(hint), style="" if hint is error.hint else "dim"))

    def ask(self, question: str) -> bool:
        """Ask for a yes on the terminal."""
        self._stream.write(f"{printable_lines(question)} [y/N] ")
        self._stream.flush()
        try:
            return sys.stdin.readline().strip().lower() in {"y", "yes"}
        except KeyboardInterrupt:
            self._stream.write("\n")  # what is said next begins a line of its own
            raise

    def log(self) -> None:
        """Let the log lines through."""
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(_PrintableFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger = logging.getLogger("runa")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True)


class _PrintableFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _names(error: RunaError) -> str:
    context = error.context
    known = (
        ("batch", context.batch),
        ("order", context.order_id),
        ("key", context.idempotency_key),
        ("request", context.request_id),
    )
    named = ", ".join(f"{name} {value}" for name, value in known if value)
    return f"[{named}]" if named else ""
