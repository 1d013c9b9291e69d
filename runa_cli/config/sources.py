"""The sources of a setting, in order of precedence: flag, environment, `.env`, profile, default."""

from collections.abc import Callable, Mapping
from typing import Generic

from msgspec import Struct, field

from runa_cli.config.dotenv_file import DotenvFile
from runa_cli.config.plain_text import stray_part
from runa_cli.config.profiles import Profile
from runa_cli.config.values import T
from runa_cli.core.errors import UsageMistake
from runa_cli.core.masking import has_key


class Setting(Struct, Generic[T], frozen=True):
    """A value and its origin: `flag`, `environment`, the name of a file, `profile NAME`, or `default`."""

    value: T
    origin: str


ORIGIN_DEFAULT = "default"
_BLANKS_ALLOWED = {"RUNA_PRODUCTS": "\t"}  # between the codes
_LONG_SECRET = 12  # characters; a shorter one may be a word that occurs elsewhere


class Sources(Struct):
    """Looks a setting up in each source, and collects in `problems` what cannot be read."""

    flags: Mapping[str, object]
    environ: Mapping[str, str]
    dotenv: DotenvFile
    problems: list[str] = field(default_factory=list)
    profile: Profile | None = None

    def raw(self, name: str) -> Setting[object] | None:
        """Return the value of a setting from the first source that sets it, unconverted; None where none does."""
        flag = self.flags.get(name)
        if flag is not None:
            return Setting(flag, "flag")
        if self.environ.get(name):
            return Setting(self.environ[name], "environment")
        if self.dotenv.values.get(name):
            return Setting(self.dotenv.values[name], self.dotenv.name)
        if self.profile is not None and name in self.profile.values:
            return Setting(self.profile.values[name], self.profile.origin)
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
            self._check_no_key(str(found.value))
            value = convert(str(found.value))
        except ValueError as error:
            if found.origin == "flag":
                flag = "--" + name.removeprefix("RUNA_").lower().replace("_", "-")
                raise UsageMistake(f"{flag} {error}.") from error
            self.problems.append(f"{name} ({self._file(found.origin)}) {error}.")
            return Setting(default, ORIGIN_DEFAULT)
        if found.origin != "flag" and not self.is_plain(name, str(found.value), found.origin):
            return Setting(default, ORIGIN_DEFAULT)
        return Setting(value, found.origin)

    def is_plain(self, name: str, text: str, origin: str) -> bool:
        """Tell whether nothing stray is in the text of a setting; what is there is added to the problems."""
        stray = stray_part(text, _BLANKS_ALLOWED.get(name, ""))
        if stray is None:
            return True
        self.problems.append(f"{name} ({self.place(name, origin)}) has a stray {stray} in its value: remove it.")
        return False

    def place(self, name: str, origin: str) -> str:
        """Return where a setting was set: its origin, with the line of a file, or with the file of a profile."""
        return self.dotenv.origin(name) if origin == self.dotenv.name else self._file(origin)

    def _file(self, origin: str) -> str:
        return self.profile.place if self.profile is not None and origin == self.profile.origin else origin

    def _check_no_key(self, text: str) -> None:
        """Check that a setting is no API key. Raises ValueError, without the text."""
        keys = (self.environ.get("RUNA_API_KEY"), self.dotenv.values.get("RUNA_API_KEY"))
        secrets = [key.partition(".")[2].strip() for key in keys if key]
        if has_key(text) or any(len(secret) >= _LONG_SECRET and secret in text for secret in secrets):
            raise ValueError("holds what looks like an API key: the key belongs in RUNA_API_KEY")
