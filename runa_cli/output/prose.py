"""Prose on a terminal: lines end between words. In pipes and files a sentence stays one line, for scripts.

Imported late, because it loads Rich: see `tables.py`.
"""

import re

from rich import get_console
from rich.text import Text

_COMMAND = re.compile(r"`[^`\n]+`")
_HELD = "\ue000"  # in place of a blank at which no line may end; nothing that is printable holds it


def wrapped(text: Text, width: int, *, indent: int = 0) -> Text:
    """Return text with line breaks between its words, so that none is longer than the width.

    A command in backquotes, and a word that is longer than a line, stay whole: the terminal breaks them itself, and
    what is copied from there has no line break in it. Further lines are indented by `indent`, and those of a line that
    is indented itself, as an entry of a list is, by a little more than that.
    """
    held = text.copy()
    held.plain = _COMMAND.sub(lambda command: command[0].replace(" ", _HELD), text.plain)
    lines = [line for each in held.split("\n", allow_blank=True) for line in _lines(each, width)]
    for line in lines:
        line.rstrip()
        line.plain = line.plain.replace(_HELD, " ")
    return Text("\n" + " " * indent).join(lines)


def _lines(line: Text, width: int) -> list[Text]:
    margin = len(line.plain) - len(line.plain.lstrip(" "))
    hanging = margin + 2 if margin else 0
    words = line[margin:]
    words.overflow = "ignore"  # folds no word
    first, *others = words.wrap(get_console(), max(width - hanging, 1)) or [words]
    return [Text(" " * margin).append_text(first), *(Text(" " * hanging).append_text(other) for other in others)]
