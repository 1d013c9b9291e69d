"""Makes text from outside safe to show on a terminal or in a spreadsheet."""

import re
import unicodedata
from functools import lru_cache

from runa_cli.core.exact_json import UNSAFE, UNSAFE_TO_SHOW

_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
# A cell that starts with one of these is a formula to spreadsheets; some also accept the full-width forms.
_FORMULA_STARTS = frozenset({"=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"})
# Line breaks and tabs may be part of a cell; characters that a terminal acts on or that nobody can see may not.
_CONTROLS = UNSAFE | UNSAFE_TO_SHOW | {code: f"\\x{code:02x}" for code in range(0x20) if chr(code) not in "\t\n\r"}


def printable(text: str) -> str:
    """Return text that is safe on a terminal: control, bidirectional and invisible characters are escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_shown(char) else char.encode("unicode_escape").decode() for char in text)


def _is_shown(char: str) -> bool:
    return char == " " or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable_lines(text: str) -> str:
    """Return text of several lines that is safe on a terminal."""
    return "\n".join(printable(line) for line in text.split("\n"))


def undefused(cell: str) -> str:
    """Return a cell of this program's own results as it was before `defused` put an apostrophe before it."""
    return cell[1:] if cell.startswith("'") and defused(cell[1:]) == cell else cell


def visible(cell: str) -> str:
    """Return a cell in which characters that a terminal acts on or that nobody can see are escaped."""
    return cell if cell.isascii() and cell.isprintable() else cell.translate(_CONTROLS)


@lru_cache(maxsize=4096)  # most cells of a long list have few different values
def defused(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula and no terminal acts on. A plain number stays a number."""
    cell = visible(cell)
    if cell[:1] in _FORMULA_STARTS and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell
