"""Standard error: notes, warnings, errors, log lines and questions.

A message never affects what happens to the money: where standard error is closed or full, it is dropped.
"""

import io
import logging
import os
import sys
import time
from contextlib import suppress
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, cast

from runa_cli.core import exact_json
from runa_cli.core.errors import Context, RunaError
from runa_cli.core.safe_text import printable_lines

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

_FORCES_STYLES = ("FORCE_COLOR", "TTY_COMPATIBLE")  # variables by which Rich writes styles into a file too


class LossyStream(io.TextIOBase):
    """A text stream that drops what cannot be written instead of raising."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, or drop it."""
        with suppress(OSError, ValueError, AttributeError):
            return int(self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if that is possible."""
        with suppress(OSError, ValueError, AttributeError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
        with suppress(OSError, ValueError, AttributeError):
            return bool(self._stream.isatty())
        return False

    @property
    def encoding(self) -> str:  # type: ignore[override] # the base class has an attribute here
        """The encoding of the underlying stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"


class Console:
    """Writes messages to standard error. `quiet` drops notes.

    `as_json` writes errors as JSON, and nothing else unless a person reads it: on a terminal, or with `verbose`.
    """

    def __init__(
        self, *, quiet: bool = False, as_json: bool = False, verbose: bool = False, no_color: bool = False
    ) -> None:
        self._as_json = as_json
        self._logs = False
        self._logs_json = False
        self._stream = LossyStream(sys.stderr)
        self._only_errors = as_json and not verbose and not self.is_terminal
        self.quiet = quiet or self._only_errors
        self._no_color = no_color
        self._plain = not self.is_terminal and not any(map(os.environ.get, _FORCES_STYLES))
        if not self._plain:
            # Loaded before anything is sent, not when something fails.
            from runa_cli.output import prose  # noqa: F401

            self.rich  # noqa: B018

    @cached_property
    def rich(self) -> "RichConsole":
        """The console of Rich, which styles what is written on a terminal."""
        from rich.console import Console as RichConsole  # imported late: it takes long, and a log file needs none

        return RichConsole(
            file=cast(IO[str], self._stream),
            color_system=None if self._no_color else "auto",
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def is_terminal(self) -> bool:
        """Whether standard error is a terminal."""
        return self._stream.isatty()

    def say(self, sentence: str) -> None:
        """Write a note, unless the console is quiet."""
        if self.quiet:
            return
        if self._logs_json:
            self._log_json("note", sentence)
        else:
            self._print(("", printable_lines(sentence)))

    def note(self, sentence: str) -> None:
        """Write a note that is left out where errors are JSON and a program reads them."""
        if not self._as_json or self.is_terminal or self._logs:
            self.say(sentence)

    def warn(self, sentence: str) -> None:
        """Write a warning, even where the console is quiet."""
        if self._only_errors:
            return
        if self._logs_json:
            self._log_json("warning", sentence)
            return
        self._print(("yellow", "Warning: "), ("", printable_lines(sentence)))

    def next_page(self, after: str, note: str | None = None) -> None:
        """Tell from which cursor a list that was cut goes on: as a note, or for programs as one line of JSON."""
        if self._as_json:
            self._write_json({"next": {"after": after}})
        else:
            self.say(note or f"There are more: --after {after}")

    def error(self, error: RunaError) -> None:
        """Write an error with its hint and ids: as text, or as one line of JSON."""
        if self._as_json or self._logs_json:
            self._write_json(error.as_dict())
            return
        self._print(("bold red", "Error: "), ("", printable_lines(error.message)))
        if error.hint:
            self._print(("", printable_lines(error.hint)))
        if ids := _ids(error.context):
            self._print(("dim", printable_lines(ids)))

    def ask(self, question: str) -> bool:
        """Ask a yes/no question on the terminal; anything but y or yes means no."""
        prompt = f"{printable_lines(question)} [y/N]"
        if self.is_terminal:
            from rich.text import Text

            from runa_cli.output.prose import wrapped

            prompt = wrapped(Text(prompt), self.rich.width - 1).plain  # the answer begins on the last line
        self._stream.write(prompt + " ")
        self._stream.flush()
        try:
            return sys.stdin.readline().strip().lower() in {"y", "yes"}
        except KeyboardInterrupt:
            self._stream.write("\n")  # so that the next message starts on a new line
            raise

    def log(self, *, as_json: bool = False) -> None:
        """Show the log lines of the program from now on, with `as_json` each as a JSON object, as all messages then."""
        from runa_cli.output.log_format import JsonLines, TextLines

        self._logs, self._logs_json = True, as_json
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(JsonLines() if as_json else TextLines())
        logger = logging.getLogger("runa")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)

    def _log_json(self, level: str, sentence: str) -> None:
        from runa_cli.output.log_format import timestamp

        self._write_json({"time": timestamp(time.time()), "level": level, "message": sentence})

    def _write_json(self, value: object) -> None:
        self._stream.write(exact_json.dumps_for_display(value) + "\n")
        self._stream.flush()

    def _print(self, *pieces: tuple[str, str]) -> None:
        """Write a line, on a terminal wrapped between words; a piece is a style and its text."""
        if self._plain:
            self._stream.write("".join(text for _, text in pieces) + "\n")
            self._stream.flush()
            return
        from rich.text import Text

        from runa_cli.output.prose import wrapped

        line = Text.assemble(*((text, style) for style, text in pieces))
        self.rich.print(wrapped(line, self.rich.width) if self.is_terminal else line, soft_wrap=True)


def _ids(context: Context) -> str:
    """Return the ids that an error names, for instance `[batch bonus, order O-1]`."""
    ids = (
        ("batch", context.batch),
        ("order", context.order_id),
        ("key", context.idempotency_key),
        ("request", context.request_id),
    )
    listed = ", ".join(f"{name} {value}" for name, value in ids if value)
    return f"[{listed}]" if listed else ""
