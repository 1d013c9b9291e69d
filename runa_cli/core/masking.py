"""Hides what looks like an API key in text that is about to be shown, whatever setting it was put into by mistake."""

import re

# A key is a prefix that begins with wg or xx, a dot and a secret (developer.runa.io: getting-started/environments). A
# file such as `xx.db` looks like one, so these names of files are left alone.
_KEY = re.compile(
    r"(?<![A-Za-z0-9])((?:wg|xx)[A-Za-z0-9_-]*)\.(?!(?:db|sqlite3?|key|txt|env|csv|xlsx|jsonl?)(?![\w.~+/=-]))[^\s\"',|;]+",
    re.IGNORECASE,
)
_KEY_WITHOUT_DOT = re.compile(r"(?<![A-Za-z0-9])(?:wg|xx)[A-Za-z0-9_~-]{18,}", re.IGNORECASE)
# A key may begin with other letters; such a long second part is no word, number or file name.
_OTHER_KEY = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_~+/=-]{16,}")
MOST_SHOWN = 40  # characters of a wrong value; enough to recognise it


def has_key(text: str) -> bool:
    """Tell whether a word of the text looks like an API key. A path that leads through such a name is none."""
    return any(_KEY.match(word) or _KEY_WITHOUT_DOT.match(word) for word in re.split(r"[\s,|;\"']+", text))


def mask_keys(text: str) -> str:
    """Return text in which only the prefix of what looks like an API key is left."""
    return _KEY_WITHOUT_DOT.sub("(hidden)", _KEY.sub(r"\1.…", text))


def shown(text: str) -> str:
    """Return a wrong value as a message quotes it: without anything that could be a key, and not longer than useful."""
    masked = _OTHER_KEY.sub(r"\1.…", mask_keys(text))
    return repr(masked[:MOST_SHOWN])
