"""Text from outside, made harmless for where it is shown."""

import re
import unicodedata

from runa_cli.core.exact_json import UNSAFE, UNSEEN

_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
# What spreadsheets take for the start of a formula, and the full-width forms that some of them fold to it.
_FORMULA_STARTS = frozenset({"=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"})
# Line breaks and tabs are part of a cell; what turns text around or commands a terminal is not.
_CONTROLS = UNSAFE | UNSEEN | {code: f"\\x{code:02x}" for code in range(0x20) if chr(code) not in "\t\n\r"}


def printable(text: str) -> str:
    """Return text that a terminal only shows: control, bidirectional and invisible characters stand as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_shown(char) else char.encode("unicode_escape").decode() for char in text)


def _is_shown(char: str) -> bool:
    return char == " " or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable_lines(text: str) -> str:
    """Return text of several lines that a terminal only shows."""
    return "\n".join(printable(line) for line in text.split("\n"))


def defused(cell: str) -> str:
    """Return a text cell that no spreadsheet runs as a formula and no terminal acts on; a plain number stays one."""
    cell = cell.translate(_CONTROLS)
    if cell[:1] in _FORMULA_STARTS and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell
