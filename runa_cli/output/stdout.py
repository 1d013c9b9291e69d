"""The only writer of standard output, and the error for output that cannot be written."""

import io
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from runa_cli.core import exact_json
from runa_cli.core.errors import Context, Money, OutputFailed
from runa_cli.core.safe_text import printable
from runa_cli.output.tables import Part

_MOMENT = 0.1  # seconds


class BrokenOutput(OutputFailed):
    """The reader of the output closed the pipe early, which is no error for a command that only shows data."""


class Output:
    """Standard output in one format.

    `hint`, `money` and `context` are those of the OutputFailed that a failed write raises. Commands that issue orders
    set `allow_broken_pipe` to False, because then a reader that closes the pipe early is an error.
    """

    def __init__(self, output_format: str, *, no_color: bool = False) -> None:
        self.format = output_format
        self._no_color = no_color
        self._stream = sys.stdout
        self._is_terminal = self.is_terminal
        self._flushed = 0.0  # when, by the monotonic clock
        self.hint: str | None = None
        self.money = Money.NOT_ISSUED
        self.context = Context()
        self.allow_broken_pipe = True
        if output_format == "table":
            # Loaded before anything is sent: a program that is updated while it sends would else draw with other code.
            from runa_cli.output import rich_tables  # noqa: F401

    @property
    def is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False

    @property
    def width(self) -> int | None:
        """The width of the terminal in columns; None where there is no terminal."""
        if not self.is_terminal:
            return None
        from rich.console import Console  # imported late: see tables.py

        return Console().width

    def text(self, text: str, *, encoding: str = "utf-8") -> None:
        """Write text. Raises OutputFailed."""
        self.binary(text.encode(encoding, "replace"))

    def binary(self, content: bytes) -> None:
        """Write bytes as they are: at once to a terminal, else in blocks, or when a moment has passed.

        What must not wait is passed on by `flush`. Raises OutputFailed.
        """
        try:
            if self._stream is None:
                raise ValueError("standard output is closed")
            self._stream.buffer.write(content)
            if time.monotonic() - self._flushed > _MOMENT or self._is_terminal:
                self._stream.flush()
                self._flushed = time.monotonic()
        except (OSError, ValueError) as error:
            raise self._write_failure(error) from error

    def flush(self) -> None:
        """Pass everything written so far on to the system. Raises OutputFailed."""
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError) as error:
            raise self._write_failure(error) from error

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines as they arrive, with control characters escaped. Raises OutputFailed."""
        for line in lines:
            self.text(printable(line) + "\n")

    def prose(self, lines: Iterable[str]) -> None:
        """Write sentences, each a line of its own; on a terminal they are wrapped. Raises OutputFailed."""
        if self.is_terminal:
            self.parts(Part(printable(line)) for line in lines)
        else:
            self.lines(lines)

    def parts(self, parts: Iterable[Part]) -> None:
        """Write what a table is made of, a part at a time. Raises OutputFailed."""
        from rich.console import Console  # imported late: see tables.py
        from rich.text import Text

        from runa_cli.output.prose import wrapped

        buffer = io.StringIO()
        console = Console(
            file=buffer,
            force_terminal=self.is_terminal,
            color_system=None if self._no_color else "auto",  # None writes no styles at all
            width=self.width or 100_000,
            highlight=False,
            markup=False,
            emoji=False,
        )
        console.legacy_windows = False
        for part in parts:
            content = Text(part.content) if isinstance(part.content, str) else part.content
            if isinstance(content, Text):
                prose = self.is_terminal and not part.unwrapped
                console.print(wrapped(content, console.width) if prose else content, soft_wrap=True)
            else:
                console.print(content, soft_wrap=part.unwrapped, crop=False)
            text = "\n".join(line.rstrip(" ") for line in buffer.getvalue().split("\n"))
            self.text(text, encoding=getattr(self._stream, "encoding", None) or "utf-8")
            buffer.seek(0)
            buffer.truncate()

    def json(self, value: object) -> None:
        """Write one JSON document. Raises OutputFailed."""
        self.text(exact_json.dumps_for_display(value, indent=2) + "\n")

    def json_list(self, values: Iterable[object]) -> None:
        """Write one JSON document that is a list, value by value as they arrive. Raises OutputFailed."""
        separator = "["
        for value in values:
            text = exact_json.dumps_for_display(value, indent=2).replace("\n", "\n  ")
            self.text(f"{separator}\n  {text}")
            separator = ","
        self.text("[]\n" if separator == "[" else "\n]\n")

    def json_line(self, value: object) -> None:
        """Write one value as a line of JSON, and flush it. Raises OutputFailed."""
        self.text(exact_json.dumps_for_display(value) + "\n")
        self.flush()

    def failure(self, reason: str, *, broken_pipe: bool = False) -> OutputFailed:
        """Return the error for output that could not be written."""
        error_type = BrokenOutput if broken_pipe and self.allow_broken_pipe else OutputFailed
        return error_type(f"The output could not be written: {reason}.", self.hint, self.context, money=self.money)

    def _write_failure(self, error: Exception) -> OutputFailed:
        discard(self._stream)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return self.failure(reason, broken_pipe=isinstance(error, BrokenPipeError))


def discard(stream: Any) -> None:
    """Redirect a broken stream to the null device, so that the interpreter's flush at exit does not fail again."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
