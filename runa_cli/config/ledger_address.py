"""Where the ledger is: a file on this machine, or a PostgreSQL server that several machines share."""

import re
from pathlib import Path

from msgspec import Struct

from runa_cli.config.values import read_path

_SERVER = re.compile(r"postgres(ql)?://|service=", re.IGNORECASE)
_OTHER_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_PASSWORD_OF_USER = re.compile(r"(://[^:/?@]*):.*@")  # up to the last @, for one that should have been written as %40
_PASSWORD_OPTION = re.compile(r"((?:ssl)?password=)[^&\s]*", re.IGNORECASE)


class ServerLedger(Struct, frozen=True):
    """The address of a ledger on a PostgreSQL server. As text it has no password, so that it can be shown anywhere.

    `connection` is what libpq connects by; it may hold a password.
    """

    connection: str

    def __str__(self) -> str:
        return _PASSWORD_OPTION.sub(r"\1…", _PASSWORD_OF_USER.sub(r"\1:…@", self.connection))

    def __repr__(self) -> str:
        return f"ServerLedger({str(self)!r})"


LedgerAddress = Path | ServerLedger


def is_path(text: str) -> bool:
    """Tell whether the text can be a path: it is no URL, nor anything that was meant to be one."""
    return not (_SERVER.match(text) or _OTHER_URL.match(text) or text.lower().startswith(("postgres:", "postgresql:")))


def read_ledger(text: str) -> LedgerAddress:
    """Convert a path, or the URL of a PostgreSQL database.

    Raises ValueError, without the text: it may hold a password.
    """
    if _SERVER.match(text):
        return ServerLedger(text)
    if not is_path(text):
        raise ValueError("must be a path, or a URL of PostgreSQL such as postgresql://runa@db.example.com/runa")
    return read_path(text)
