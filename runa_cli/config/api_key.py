"""The API key, from the environment, `.env` or a file. Only the part before its dot is ever shown."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from runa_cli.config.dotenv_file import read_failure
from runa_cli.config.sources import ORIGIN_DEFAULT, Setting, Sources
from runa_cli.config.values import Environment, read_path
from runa_cli.core.masking import has_key

MAX_KEY_LENGTH = 4096  # characters; no key is longer, and the file may be a device that never ends


@dataclass(frozen=True)
class ApiKey:
    """An API key: a prefix that may be shown, a dot and a secret that is never shown."""

    value: str = field(repr=False)

    @property
    def prefix(self) -> str:
        """The part before the dot; empty when there is no dot, because then all of it may be secret."""
        before, dot, _ = self.value.partition(".")
        return before if dot else ""

    @property
    def environment(self) -> Environment | None:
        """The environment that the key's first letters name, None for other letters.

        (developer.runa.io: getting-started/environments)
        """
        letters = self.value[:2].lower()
        return "live" if letters == "wg" else "playground" if letters == "xx" else None

    def __str__(self) -> str:
        return f"{self.prefix}.…" if self.prefix else "(hidden)"


def read_api_key(source: Sources) -> Setting[ApiKey | None]:
    """Read the key from the environment or else from `.env`: RUNA_API_KEY, or the file that RUNA_API_KEY_FILE names.

    What is wrong with it is added to the problems of `source`.
    """
    for values, origin in ((source.environ, "environment"), (source.dotenv.values, source.dotenv.name)):
        if text := values.get("RUNA_API_KEY"):
            plain = source.is_plain("RUNA_API_KEY", text, origin)
            return Setting(_checked_key(text, f"RUNA_API_KEY ({origin})", source) if plain else None, origin)
        if text := values.get("RUNA_API_KEY_FILE"):
            path = _key_file(text, origin, source)
            if path is None:
                return Setting(None, origin)
            return Setting(_read_key_file(path, source), f"{path} (RUNA_API_KEY_FILE, {origin})")
    return Setting(None, ORIGIN_DEFAULT)


def _key_file(text: str, origin: str, source: Sources) -> Path | None:
    if not source.is_plain("RUNA_API_KEY_FILE", text, origin):
        return None
    try:
        path = read_path(text)
        if has_key(text) and not path.is_file():
            raise ValueError(
                "holds what looks like an API key, not the path of a file: the key belongs in RUNA_API_KEY"
            )
    except (ValueError, OSError) as error:
        reason = str(error) if isinstance(error, ValueError) else "cannot be read"
        source.problems.append(f"RUNA_API_KEY_FILE ({origin}) {reason}.")
        return None
    return path


def _read_key_file(path: Path, source: Sources) -> ApiKey | None:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            text = stream.read(MAX_KEY_LENGTH)
    except (OSError, UnicodeDecodeError) as error:
        source.problems.append(f"The key file {path} cannot be read: {read_failure(error)}.")
        return None
    return _checked_key(text, f"The key file {path}", source)


def _checked_key(text: str, place: str, source: Sources) -> ApiKey | None:
    key = text.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        source.problems.append(f"{place} does not contain a key: a key is one word of plain ASCII characters.")
        return None
    return ApiKey(key)
