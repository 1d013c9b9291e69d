"""The sources of a setting, in order of precedence: flag, environment, `.env`, default."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

import dotenv

from runa_cli.config.values import T
from runa_cli.core.errors import ConfigurationError, UsageMistake


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A value and its origin: `flag`, `environment`, the name of a file, or `default`."""

    value: T
    origin: str


ORIGIN_DEFAULT = "default"


@dataclass
class Sources:
    """Looks a setting up in each source, and collects in `problems` what cannot be read."""

    flags: Mapping[str, object]
    environ: Mapping[str, str]
    dotenv: Mapping[str, str]
    dotenv_name: str
    problems: list[str] = field(default_factory=list)

    def raw(self, name: str) -> Setting[object] | None:
        """Return the value of a setting from the first source that sets it, unconverted; None where none does."""
        flag = self.flags.get(name)
        if flag is not None:
            return Setting(flag, "flag")
        if self.environ.get(name):
            return Setting(self.environ[name], "environment")
        if self.dotenv.get(name):
            return Setting(self.dotenv[name], self.dotenv_name)
        return None

    def read(self, name: str, default: T, convert: Callable[[str], T]) -> Setting[T]:
        """Return the converted value of a setting, or the default where it is not set.

        A value that `convert` refuses with ValueError is added to the problems, and the default is returned. For a flag
        it raises UsageMistake.
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
    """Read a `.env` file. Without the file there is nothing to read, unless the user named it.

    Raises ConfigurationError for a file that cannot be read.
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
    """Return the reason why a file could not be read."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
