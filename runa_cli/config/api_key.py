"""The API key, from a setting, a file or a command. Only the part before its dot is ever shown."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from runa_cli.config.dotenv_file import read_failure
from runa_cli.config.plain_text import stray_character
from runa_cli.config.sources import ORIGIN_DEFAULT, Setting, Sources
from runa_cli.config.values import Environment, read_path
from runa_cli.core.masking import has_key

MAX_KEY_LENGTH = 4096  # characters; no key is longer, and the file may be a device that never ends
KEY_SETTINGS = ("RUNA_API_KEY", "RUNA_API_KEY_FILE", "RUNA_API_KEY_COMMAND")  # the first that is set is used


class ApiKey(Struct, frozen=True):
    """An API key: a prefix that may be shown, a dot and a secret that is never shown."""

    value: str

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

    def __repr__(self) -> str:
        return f"ApiKey({self})"

    def __str__(self) -> str:
        return f"{self.prefix}.…" if self.prefix else "(hidden)"


def read_api_key(source: Sources, *, local: bool) -> Setting[ApiKey | None]:
    """Read the key from the environment, or else from `.env`, or else from the profile.

    A command is not run for `local`, which needs no key. What is wrong is added to the problems of `source`, such as a
    second key where it is not certain which one is meant.
    """
    environ, dotenv, profile = source.environ, source.dotenv, source.profile
    ours, theirs = _key_setting(environ), _key_setting(dotenv.values)
    if profile is not None:
        beside = [(name, origin) for name, origin in ((ours, "environment"), (theirs, dotenv.name)) if name]
        if beside:
            source.problems += [
                f"{name} ({source.place(name, origin)}) names a key beside the chosen {profile.origin}: unset it, or"
                " choose no profile, so that it is certain which account pays."
                for name, origin in beside
            ]
            return Setting(None, ORIGIN_DEFAULT)
        return _key(profile.values, profile.origin, source, local=local)
    key = _key(environ, "environment", source, local=local)
    if ours is None:
        return _key(dotenv.values, dotenv.name, source, local=local)
    if theirs is not None and dotenv.is_named:
        other = _key(dotenv.values, dotenv.name, source, local=local)
        if None not in {key.value, other.value} and key.value != other.value:
            source.problems.append(
                f"{ours} (environment) is another key than that of {dotenv.name}: unset it, or leave out --env-file, so"
                " that it is certain which account pays."
            )
    return key


def _key_setting(values: Mapping[str, str]) -> str | None:
    """Return the setting by which a source names a key, None where it names none."""
    return next((name for name in KEY_SETTINGS if values.get(name)), None)


def _key(values: Mapping[str, str], origin: str, source: Sources, *, local: bool) -> Setting[ApiKey | None]:
    """Return the key that one source names."""
    name = _key_setting(values)
    if name is None:
        return Setting(None, ORIGIN_DEFAULT)
    text = values[name]
    if name == "RUNA_API_KEY":
        plain = source.is_plain(name, text, origin)
        return Setting(_checked_key(text, f"{name} ({origin})", source) if plain else None, origin)
    if name == "RUNA_API_KEY_COMMAND":
        return _key_of_command(text, origin, source, local=local)
    path = _key_file(text, origin, source)
    if path is None:
        return Setting(None, origin)
    return Setting(_read_key_file(path, source), f"{path} ({name}, {origin})")


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


def _key_of_command(text: str, origin: str, source: Sources, *, local: bool) -> Setting[ApiKey | None]:
    """Return the key that a command prints. Whoever can write a file into a directory must not be able to run one."""
    from runa_cli.config import key_command  # imported late: few have such a command

    setting = f"RUNA_API_KEY_COMMAND ({source.place('RUNA_API_KEY_COMMAND', origin)})"
    try:
        if origin == source.dotenv.name:
            raise ValueError(
                "is not run: a settings file comes with its directory, and must not be able to run a command. Set it in"
                " the environment or in a profile"
            )
        if stray := stray_character(text):
            raise ValueError(f"has a stray {stray} in its value: remove it")
        program = key_command.program_of(text)
        if has_key(program) and shutil.which(program) is None:
            raise ValueError("holds what looks like an API key, not a command: the key belongs in RUNA_API_KEY")
        shown_origin = f"{program} (RUNA_API_KEY_COMMAND, {origin})"
        if local:
            return Setting(None, f"{shown_origin}; not run for local")
        key = _checked_key(key_command.printed_by(text), f"What {program} printed for {setting}", source)
    except ValueError as error:
        source.problems.append(f"{setting} {error}.")
        return Setting(None, origin)
    return Setting(key, shown_origin)


def _checked_key(text: str, place: str, source: Sources) -> ApiKey | None:
    key = text.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        source.problems.append(f"{place} does not contain a key: a key is one word of plain ASCII characters.")
        return None
    return ApiKey(key)
