"""What is written on a terminal of any width, drawn without one."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from unittest import mock

from runa_cli.output.stdout import Output
from runa_cli.output.tables import Part


class Screen(TextIOWrapper):
    """A stream that says it is a terminal."""

    def __init__(self, *, is_terminal: bool = True) -> None:
        super().__init__(BytesIO(), encoding="utf-8", write_through=True)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
        return self._is_terminal

    @property
    def lines(self) -> list[str]:
        """What was written."""
        assert isinstance(self.buffer, BytesIO)
        return self.buffer.getvalue().decode().splitlines()


@contextmanager
def screen(name: str, width: int | None) -> Iterator[Screen]:
    """Put a terminal in the place of a standard stream. `width` is None for one that is no terminal."""
    stream = Screen(is_terminal=width is not None)
    size = {"TERM": "xterm", "COLUMNS": str(width or 80), "LINES": "50"}
    with mock.patch(f"sys.{name}", stream), mock.patch.dict(os.environ, size):
        yield stream


def drawn(parts: Iterable[Part], width: int | None) -> list[str]:
    """Return the lines of a table. `width` is None where there is no terminal."""
    with screen("stdout", width) as stream:
        Output("table", no_color=True).parts(parts)
    return stream.lines
