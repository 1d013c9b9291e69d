"""Tells what does not belong in the text of a setting: what an editor, a spreadsheet or a shell left in it."""

import unicodedata

_NAMES = {
    "\r": "carriage return",
    "\n": "line break",
    "\t": "tab",
    "\xa0": "no-break space",
    "\ufeff": "byte order mark",
    "\u200b": "zero-width space",
}
_QUOTES = frozenset("\"'`\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb")


def stray_character(text: str, allowed: str = "") -> str | None:
    """Return the name of a character that no setting holds, or None: a control, an invisible one, an odd blank."""
    for char in text:
        category = unicodedata.category(char)
        odd = category in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"} or (category == "Zs" and char != " ")
        if odd and char not in allowed:
            return _NAMES.get(char, f"character U+{ord(char):04X}")
    return None


def stray_part(text: str, allowed: str = "") -> str | None:
    """Return what does not belong in a value, or None: a stray character, a quote, a blank at its begin or end.

    An apostrophe or a blank inside of a value may be part of a path.
    """
    if stray := stray_character(text, allowed):
        return stray
    if text[:1] in _QUOTES or text[-1:] in _QUOTES or '"' in text:
        return "quotation mark"
    return "blank at its begin or end" if text != text.strip() else None
