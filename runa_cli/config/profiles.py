"""Profiles: named sets of settings in `config.toml` of the user's configuration directory.

A profile may name a command that is run, and a host that gets the key. So the file is refused if another user could
have written it.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from runa_cli.config.dotenv_file import read_failure
from runa_cli.config.ledger_address import is_path
from runa_cli.config.names import NAMES, meant_by, plain_name
from runa_cli.config.paths import config_directory
from runa_cli.core.errors import ConfigurationError
from runa_cli.core.masking import has_key, shown
from runa_cli.core.system import may_be_changed_by_others
from runa_cli.core.typos import one_typo

FILE = "config.toml"
_TABLE = "profile"
_NEVER = ("RUNA_API_KEY", "RUNA_PROFILE")  # the key itself is in no such file, and a profile names no other
# Who pays and how much: neither a `.env` of some directory nor a profile may decide it in place of the other.
DECISIVE = ("RUNA_ENV", "RUNA_BASE_URL", "RUNA_LEDGER", "RUNA_MAX_TOTAL", "RUNA_POLICY")
_NUMBERS = ("RUNA_TIMEOUT", "RUNA_RATE_LIMIT", "RUNA_CONCURRENCY", "RUNA_LOOK_BACK", "RUNA_MAX_TOTAL")
_LISTS = ("RUNA_PRODUCTS",)
_PATHS = ("RUNA_API_KEY_FILE", "RUNA_LEDGER", "RUNA_POLICY")  # if relative, to the directory of the file


class Profile(Struct, frozen=True):
    """One profile: the text of each setting by the name of its variable, and what is wrong with the others."""

    name: str
    path: Path
    values: Mapping[str, str]
    problems: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """What the settings of the profile name as their origin."""
        return f"profile {self.name}"

    @property
    def place(self) -> str:
        """The origin with the file, for messages."""
        return f"{self.path}, {self.origin}"


def setting_names() -> tuple[str, ...]:
    """Return what a profile may set, as it is written there: in lower case and without RUNA_."""
    return tuple(name.removeprefix("RUNA_").lower() for name in NAMES if name not in _NEVER)


def profiles_file() -> Path:
    """Return the path of the file, which may not exist. Raises ConfigurationError for a user without a home."""
    return config_directory() / FILE


def read_profile(name: str, origin: str) -> Profile:
    """Return the profile of this name; `origin` is where the name was found. Raises ConfigurationError."""
    found = read_profiles()
    for profile in found:
        if profile.name == name:
            return profile
    names = [profile.name for profile in found]
    meant = next((one for one in names if one_typo(one, name)), None)
    example = f'A profile is a table such as [{_TABLE}.acme-live] with settings such as env = "live".'
    raise ConfigurationError(
        f"There is no profile {shown(name)} ({origin}) in {profiles_file()}."
        + (f" Did you mean {meant}?" if meant else ""),
        f"Its profiles: {', '.join(names)}." if names else example,
        code="no_profile",
    )


def read_profiles() -> list[Profile]:
    """Return all profiles, none where there is no file.

    What is wrong inside of a profile is told there. Raises ConfigurationError for a file that cannot be used.
    """
    path = profiles_file()
    try:
        content = path.read_bytes()
        _check_own(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise ConfigurationError(f"{path} is a link that leads nowhere.") from None
        return []
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {read_failure(error)}.") from error
    return [_profile(path, name, table) for name, table in _tables(path, content).items()]


def _check_own(path: Path) -> None:
    """Check that nobody else may write to the file, or put another in its place. Raises ConfigurationError."""
    for place in (path, path.parent):
        if may_be_changed_by_others(place.stat()):
            raise ConfigurationError(
                f"{path} is not used: other users may change {'it' if place == path else place}, and it may name a"
                " command to run.",
                f"It must belong to you, and only you may write to it: chmod go-w {place}",
            )


def _tables(path: Path, content: bytes) -> dict[str, object]:
    import tomllib  # imported late: few runs have such a file

    try:
        document = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} cannot be read: {read_failure(error)}.") from error
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        where = f"line {place[1]}, column {place[2]}" if place else "its end"
        raise ConfigurationError(
            f"{path}, {where}: cannot be read as TOML.",
            f'A profile is a table [{_TABLE}.NAME]; a setting is name = "value", once, with text in double quotes.',
        ) from error
    if unknown := [name for name in document if name != _TABLE]:
        raise ConfigurationError(
            f"{path}: {_quoted(unknown[0])} belongs to no profile, which is a table [{_TABLE}.NAME]."
        )
    tables = document.get(_TABLE, {})
    if not isinstance(tables, dict):
        raise ConfigurationError(f"{path}: {_TABLE} is not a table; a profile is a table [{_TABLE}.NAME].")
    return tables


def _profile(path: Path, name: str, table: object) -> Profile:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: {_quoted(name)} belongs to no profile, which is a table [{_TABLE}.NAME].")
    found = Profile(name, path, {})
    values: dict[str, str] = {}
    problems = []
    for key, value in table.items():
        try:
            variable = _variable(key)
            values[variable] = _text(variable, value, path.parent)
        except ValueError as error:
            problems.append(f"{found.place}: {_quoted(key)} {error}.")
    if "RUNA_API_KEY_FILE" in values and "RUNA_API_KEY_COMMAND" in values:
        problems.append(f"{found.place}: api_key_file and api_key_command name a key each: remove one.")
    return Profile(name, path, values, tuple(problems))


def _quoted(name: str) -> str:
    """Return a name of the file for a message: it may be a key that was put on the wrong side of the =."""
    return shown(name)[1:-1]


def _variable(name: str) -> str:
    """Return the variable of a setting as it is named in a profile. Raises ValueError."""
    allowed = setting_names()
    if name in allowed:
        return f"RUNA_{name.upper()}"
    bare = plain_name(name).removeprefix("runa")
    if bare == "apikey":
        raise ValueError("is not allowed: no profile holds the key itself. Use api_key_file or api_key_command")
    meant = meant_by(bare, allowed)
    raise ValueError("is not a setting" + (f"; it is written {meant}" if meant else ""))


def _text(variable: str, value: object, directory: Path) -> str:
    """Return a value as a variable of the environment would hold it. Raises ValueError, without the value."""
    if isinstance(value, str):
        if not value:
            raise ValueError("is empty: remove it")
        return _placed(variable, value, directory)
    if variable in _NUMBERS:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return str(value)
        raise ValueError("must be a number")
    if variable in _LISTS and isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return ",".join(value)
    raise ValueError("must be text in double quotes" + (", or a list of it" if variable in _LISTS else ""))


def _placed(variable: str, text: str, directory: Path) -> str:
    """Return the text of a path as seen from the directory of the file, not from wherever the program is started.

    Raises ValueError for a key, which could not be recognised behind a directory.
    """
    if variable not in _PATHS or text.startswith("~") or (variable == "RUNA_LEDGER" and not is_path(text)):
        return text
    if has_key(text):
        raise ValueError("holds what looks like an API key: no profile holds the key itself")
    return str(directory / text)
