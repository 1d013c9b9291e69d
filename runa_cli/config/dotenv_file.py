"""Reads a `.env` file. A line that cannot be read is a problem with its number: it may be the one that sets the cap."""

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from runa_cli.config.plain_text import stray_character
from runa_cli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from dotenv.parser import Binding

# A line that sets a variable of this program, inside of a value: the quote above it was not closed.
_SWALLOWED = re.compile(r"^\s*(?:export\s+)?['\"]?RUNA", re.IGNORECASE | re.MULTILINE)


class DotenvFile(Struct):
    """The variables of a `.env` file with their lines, and what is wrong with the file. An empty value sets nothing."""

    name: str = ".env"
    is_named: bool = False  # by the user, who meant this one
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def origin(self, name: str) -> str:
        """Return where a variable was set, as in `.env, line 3`."""
        return f"{self.name}, line {self.lines[name]}"


def read_dotenv(path: Path, *, named: bool) -> DotenvFile:
    """Read a `.env` file. Without the file there is nothing to read, unless the user named it.

    Raises ConfigurationError for a file that cannot be read.
    """
    found = DotenvFile(str(path) if named else path.name, named)
    try:
        text = path.read_text(encoding="utf-8-sig")  # reads any line ends
    except (OSError, UnicodeDecodeError) as error:
        # A directory of this name is a virtual environment. A link that leads nowhere was meant to be a file.
        absent = isinstance(error, IsADirectoryError) or (
            isinstance(error, FileNotFoundError) and not path.is_symlink()
        )
        if absent and not named:
            return found
        raise ConfigurationError(f"{path} cannot be read: {read_failure(error)}.") from error
    from dotenv.parser import parse_stream  # imported late: most runs have no such file

    for binding in parse_stream(StringIO(text)):
        _add(found, binding)
    return found


def read_failure(error: Exception) -> str:
    """Return the reason why a file could not be read."""
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {error.start + 1})"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _add(found: DotenvFile, binding: "Binding") -> None:
    line = _line(binding)
    problem = next(_problems(binding), None)
    if problem is not None:
        found.problems.append(f"{found.name}, line {line} {problem}.")
        return
    name, value = binding.key, binding.value or ""
    if name is None:
        return
    earlier = found.values.get(name)
    if _is_ours(name) and earlier and earlier != value:
        found.problems.append(
            f"{name} ({found.name}, line {line}) is set to another value on line {found.lines[name]}: remove one."
        )
    found.values[name] = value
    found.lines[name] = line


def _problems(binding: "Binding") -> Iterator[str]:
    """Yield what is wrong with a line, as the rest of a sentence that begins with its place."""
    content = binding.original.string.strip(" \t\r\n")
    if binding.error:
        yield "cannot be read: a line is NAME=value, and a quote is closed on the same line"
    elif binding.key is not None and binding.value is None:
        yield "cannot be read: a line is NAME=value, and there is no = in it"
    elif binding.key is not None and _SWALLOWED.search(content.partition("\n")[2]):
        yield "cannot be read: a quote is not closed"
    elif binding.key is not None and _is_ours(binding.key) and (stray := stray_character(_unquoted(content))):
        yield f"sets {binding.key} to a value with a {stray} in it: remove it"


def _unquoted(content: str) -> str:
    """Return the value of a line as it is written, without a comment; nothing for a value in quotes."""
    written = content.partition("=")[2].strip(" \t")
    return "" if written[:1] in {'"', "'"} else re.sub(r"\s+#.*", "", written)


def _line(binding: "Binding") -> int:
    """Return the line that a binding starts on; the blank lines above belong to it, too."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _is_ours(name: str) -> bool:
    return name.upper().startswith("RUNA_")
