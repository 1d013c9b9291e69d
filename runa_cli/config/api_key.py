"""The API key: read from the environment, `.env` or a file; only the part before its dot is ever shown."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from runa_cli.config.sources import ORIGIN_DEFAULT, Setting, Sources, read_failure
from runa_cli.config.values import Environment, read_path

MOST_KEY = 4096  # characters: no key is longer, and a device has no end


@dataclass(frozen=True)
class ApiKey:
    """The key: a prefix that may be shown and a secret that never is."""

    value: str = field(repr=False)

    @property
    def prefix(self) -> str:
        """The part before the dot; nothing when there is no dot, for then all of it may be secret."""
        before, dot, _ = self.value.partition(".")
        return before if dot else ""

    @property
    def environment(self) -> Environment | None:
        """The environment the key belongs to (developer.runa.io: getting-started/environments)."""
        start = self.value[:2].lower()
        return "live" if start == "wg" else "playground" if start == "xx" else None

    def __str__(self) -> str:
        return f"{self.prefix}.…" if self.prefix else "(hidden)"


def read_api_key(source: Sources) -> Setting[ApiKey | None]:
    """Read the key from the environment or `.env`, itself or from the file that is named there."""
    for values, origin in ((source.environ, "environment"), (source.dotenv, source.dotenv_name)):
        if values.get("RUNA_API_KEY"):
            return Setting(_clean_key(values["RUNA_API_KEY"], f"RUNA_API_KEY ({origin})", source), origin)
        if values.get("RUNA_API_KEY_FILE"):
            try:
                path = read_path(values["RUNA_API_KEY_FILE"])
            except ValueError as error:
                source.problems.append(f"RUNA_API_KEY_FILE ({origin}) {error}.")
                return Setting(None, origin)
            return Setting(_key_from(path, source), f"{path} (RUNA_API_KEY_FILE, {origin})")
    return Setting(None, ORIGIN_DEFAULT)


def _key_from(path: Path, source: Sources) -> ApiKey | None:
    try:
        with path.open(encoding="utf-8") as stream:
            text = stream.read(MOST_KEY)
    except (OSError, UnicodeDecodeError) as error:
        source.problems.append(f"The key file {path} cannot be read: {read_failure(error)}.")
        return None
    return _clean_key(text, f"The key file {path}", source)


def _clean_key(text: str, name: str, source: Sources) -> ApiKey | None:
    key = text.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        source.problems.append(f"{name} holds no key: a key is one word of plain characters.")
        return None
    return ApiKey(key)
