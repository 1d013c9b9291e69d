"""The one writer of standard output, and what happens when it cannot be written."""

import io
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rich.console import Console

from runa_cli.core import exact_json
from runa_cli.core.errors import Context, Money, OutputFailed
from runa_cli.core.safe_text import printable
from runa_cli.output.tables import Part


class BrokenOutput(OutputFailed):
    """Whoever read the answer to a question has gone, having read enough."""


class Output:
    """Standard output in one format."""

    def __init__(self, output_format: str, *, no_color: bool = False) -> None:
        self.format = output_format
        self._no_color = no_color
        self._stream = sys.stdout
        self.hint: str | None = None
        self.money = Money.NOT_ISSUED
        self.context = Context()
        self.asks = True  # whether nothing is shown but answers; what was just issued must reach somebody

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False

    @property
    def width(self) -> int | None:
        """The columns of the terminal; None where there is none and nothing needs to fit."""
        return Console().width if self.is_terminal else None

    def text(self, text: str, *, encoding: str = "utf-8") -> None:
        """Write text. Raises OutputFailed."""
        try:
            if self._stream is None:
                raise ValueError("standard output is closed")
            self._stream.flush()
            self._stream.buffer.write(text.encode(encoding, "replace"))
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def flush(self) -> None:
        """Make sure that all of it has left. Raises OutputFailed."""
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines as they come; a link or a name that could command a terminal is escaped. Raises OutputFailed."""
        for line in lines:
            self.text(printable(line) + "\n")

    def parts(self, parts: Iterable[Part]) -> None:
        """Write what a table is made of, a part at a time. Raises OutputFailed."""
        buffer = io.StringIO()
        console = Console(
            file=buffer,
            force_terminal=self.is_terminal,
            color_system=None if self._no_color else "auto",  # without it no style at all is written
            width=self.width or 100_000,
            highlight=False,
            markup=False,
            emoji=False,
        )
        console.legacy_windows = False
        for part in parts:
            console.print(part.content, soft_wrap=part.whole, crop=False)
            text = "\n".join(line.rstrip(" ") for line in buffer.getvalue().split("\n"))
            self.text(text, encoding=getattr(self._stream, "encoding", None) or "utf-8")
            buffer.seek(0)
            buffer.truncate()

    def json(self, value: object) -> None:
        """Write one document. Raises OutputFailed."""
        self.text(exact_json.dumps_for_display(value, indent=2) + "\n")

    def json_list(self, values: Iterable[object]) -> None:
        """Write one document that is a list, a member at a time. Raises OutputFailed."""
        separator = "["
        for value in values:
            text = exact_json.dumps_for_display(value, indent=2).replace("\n", "\n  ")
            self.text(f"{separator}\n  {text}")
            separator = ","
        self.text("[]\n" if separator == "[" else "\n]\n")

    def json_line(self, value: object) -> None:
        """Write one value on a line of its own, at once. Raises OutputFailed."""
        self.text(exact_json.dumps_for_display(value) + "\n")
        self.flush()

    def _failed(self, error: Exception) -> OutputFailed:
        discard(self._stream)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return self.failed(reason, broken=isinstance(error, BrokenPipeError))

    def failed(self, reason: str, *, broken: bool = False) -> OutputFailed:
        """Return the error for output that could not be written."""
        kind = BrokenOutput if broken and self.asks else OutputFailed
        return kind(f"The output could not be written: {reason}.", self.hint, self.context, money=self.money)


def discard(stream: Any) -> None:
    """Point a broken stream at nothing, so that the interpreter's last flush cannot fail again."""
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
