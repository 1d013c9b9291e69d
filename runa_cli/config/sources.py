"""Where a setting comes from: flag > environment > `.env` > default, and its origin."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

import dotenv

from runa_cli.config.values import T
from runa_cli.core.errors import ConfigurationError, UsageMistake


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A value and where it came from."""

    value: T
    origin: str


ORIGIN_DEFAULT = "default"


@dataclass
class Sources:
    """Looks one name up through the levels and remembers what was wrong."""

    flags: Mapping[str, object]
    environ: Mapping[str, str]
    dotenv: Mapping[str, str]
    dotenv_name: str
    problems: list[str] = field(default_factory=list)

    def raw(self, name: str) -> Setting[object] | None:
        """Return what a name is set to, from the first source that sets it."""
        flag = self.flags.get(name)
        if flag is not None:
            return Setting(flag, "flag")
        if self.environ.get(name):
            return Setting(self.environ[name], "environment")
        if self.dotenv.get(name):
            return Setting(self.dotenv[name], self.dotenv_name)
        return None

    def read(self, name: str, default: T, convert: Callable[[str], T]) -> Setting[T]:
        """Return a setting's value; what cannot be read becomes a problem, and the default stands.

        Raises UsageMistake for a flag.
        """
        found = self.raw(name)
        if found is None:
            return Setting(default, ORIGIN_DEFAULT)
        try:
            return Setting(convert(str(found.value)), found.origin)
        except ValueError as error:
            if found.origin == "flag":
                flag = "--" + name.removeprefix("RUNA_").lower().replace("_", "-")
                raise UsageMistake(f"{flag} {error}.") from error
            self.problems.append(f"{name} ({found.origin}) {error}.")
            return Setting(default, ORIGIN_DEFAULT)


def read_dotenv(path: Path, *, named: bool) -> dict[str, str]:
    """Read a `.env` file; nothing where there is none, unless it was named.

    Raises ConfigurationError.
    """
    if not named and not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return {
                name: value for name, value in dotenv.dotenv_values(stream=stream, interpolate=False).items() if value
            }
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {read_failure(error)}.") from error


def read_failure(error: Exception) -> str:
    """Say why a file could not be read."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
