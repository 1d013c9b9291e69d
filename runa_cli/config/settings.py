"""Settings: flag > environment > `.env` in the working directory > default, each with its origin."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from pathlib import Path
from typing import Generic, Literal, TypeVar
from urllib.parse import urlsplit

import dotenv
import platformdirs

from runa_cli.core.errors import ConfigurationError, UsageMistake

Environment = Literal["live", "playground", "local"]
ENVIRONMENTS: tuple[Environment, ...] = ("live", "playground", "local")
BASE_URLS = {"live": "https://api.runa.io/v2", "playground": "https://playground.runa.io/v2"}
API_VERSION = "2024-02-05"
FORMATS = ("table", "json", "jsonl", "csv", "links")
MODES = ("auto", "sync", "async")
MOST_KEY = 4096  # characters: no key is longer, and a device has no end
ORDERS_PER_MINUTE = 300  # developer.runa.io: best-practices/rate-limits

T = TypeVar("T")


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A value and where it came from."""

    value: T
    origin: str


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


@dataclass(frozen=True)
class Settings:
    """Every setting of one run. Seconds for times, orders a minute for rates."""

    environment: Setting[Environment | None]
    api_key: Setting[ApiKey | None]
    base_url: Setting[str | None]
    api_version: Setting[str]
    currency: Setting[str | None]
    products: Setting[tuple[str, ...]]
    template_id: Setting[str | None]
    mode: Setting[str]
    timeout: Setting[float]
    rate_limit: Setting[int]
    concurrency: Setting[int]
    max_total: Setting[Decimal | None]
    ledger: Setting[Path]
    output: Setting[str]
    no_color: Setting[bool]
    problems: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """What may be shown of the account that pays."""
        key = self.api_key.value
        return "emulator" if self.environment.value == "local" else (key.prefix if key else "")


ORIGIN_DEFAULT = "default"


@dataclass
class _Source:
    """Looks one name up through the levels and remembers what was wrong."""

    flags: Mapping[str, object]
    environ: Mapping[str, str]
    dotenv: Mapping[str, str]
    dotenv_name: str
    problems: list[str] = field(default_factory=list)

    def raw(self, name: str) -> Setting[object] | None:
        flag = self.flags.get(name)
        if flag is not None:
            return Setting(flag, "flag")
        if self.environ.get(name):
            return Setting(self.environ[name], "environment")
        if self.dotenv.get(name):
            return Setting(self.dotenv[name], self.dotenv_name)
        return None

    def read(self, name: str, default: T, convert: Callable[[str], T]) -> Setting[T]:
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


def load(
    flags: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    env_file: Path | None = None,
) -> Settings:
    """Read every setting; what is wrong ends up in `problems`, which `check` turns into an error.

    Raises UsageMistake for a flag's value and ConfigurationError for an `.env` file that was named and cannot be read.
    """
    environ = os.environ if environ is None else environ
    path = env_file or (directory or Path()) / ".env"
    source = _Source(flags or {}, environ, _dotenv(path, named=env_file is not None), str(env_file or ".env"))
    api_key = _api_key(source)
    return Settings(
        environment=_environment(source, api_key),
        api_key=api_key,
        base_url=_base_url(source),
        api_version=source.read("RUNA_API_VERSION", API_VERSION, _matching(r"[\x21-\x7e]{1,40}", "a version")),
        currency=source.read("RUNA_CURRENCY", None, _optional(str)),
        products=source.read("RUNA_PRODUCTS", (), _codes),
        template_id=source.read("RUNA_TEMPLATE_ID", None, _optional(str)),
        mode=source.read("RUNA_MODE", "auto", _one_of(MODES)),
        timeout=source.read("RUNA_TIMEOUT", 120.0, _seconds),
        rate_limit=source.read("RUNA_RATE_LIMIT", ORDERS_PER_MINUTE, _whole(0, 100_000)),
        concurrency=source.read("RUNA_CONCURRENCY", 4, _whole(1, 64)),
        max_total=source.read("RUNA_MAX_TOTAL", None, _optional(amount)),
        ledger=_ledger(source),
        output=source.read("RUNA_OUTPUT", "table", _one_of(FORMATS)),
        no_color=Setting(bool(environ.get("NO_COLOR")), "environment" if environ.get("NO_COLOR") else ORIGIN_DEFAULT),
        problems=tuple(source.problems),
    )


def check(settings: Settings) -> None:
    """Raise ConfigurationError, naming all that is wrong, unless a request can be made with these settings."""
    problems = list(settings.problems)
    if not problems and settings.environment.value != "local":
        problems += _key_problems(settings)
    if problems:
        raise ConfigurationError(" ".join(problems), hint="`runa config` shows every setting and where it came from.")


def _key_problems(settings: Settings) -> list[str]:
    key, environment = settings.api_key.value, settings.environment.value
    if key is None:
        raise ConfigurationError(
            "There is no API key: RUNA_API_KEY is not set.",
            code="no_key",
            hint="Make one at app.runa.io/api-keys and export RUNA_API_KEY, or use --env local to try without one.",
        )
    if environment is None:
        return ["The key begins with neither wg (live) nor xx (playground): say which it is with --env."]
    if key.environment not in (None, environment):
        return [
            f"The key belongs to {key.environment}, but {environment} is asked for"
            f" ({settings.environment.origin}): use a {environment} key, or --env {key.environment}."
        ]
    return []


def request_url(settings: Settings) -> str | None:
    """Return the base URL to talk to; None for the embedded emulator."""
    if settings.base_url.value:
        return settings.base_url.value
    return BASE_URLS.get(settings.environment.value or "")


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is this machine."""
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def amount(text: str) -> Decimal:
    """Read an amount in plain digits. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,10})?", text):
        raise ValueError(f"must be an amount such as 10 or 12.50, found {text[:40]!r}")
    return Decimal(text)


def _dotenv(path: Path, *, named: bool) -> dict[str, str]:
    if not named and not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return {
                name: value for name, value in dotenv.dotenv_values(stream=stream, interpolate=False).items() if value
            }
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _api_key(source: _Source) -> Setting[ApiKey | None]:
    for values, origin in ((source.environ, "environment"), (source.dotenv, source.dotenv_name)):
        if values.get("RUNA_API_KEY"):
            return Setting(_clean_key(values["RUNA_API_KEY"], f"RUNA_API_KEY ({origin})", source), origin)
        if values.get("RUNA_API_KEY_FILE"):
            try:
                path = _path(values["RUNA_API_KEY_FILE"])
            except ValueError as error:
                source.problems.append(f"RUNA_API_KEY_FILE ({origin}) {error}.")
                return Setting(None, origin)
            return Setting(_key_from(path, source), f"{path} (RUNA_API_KEY_FILE, {origin})")
    return Setting(None, ORIGIN_DEFAULT)


def _key_from(path: Path, source: _Source) -> ApiKey | None:
    try:
        with path.open(encoding="utf-8") as stream:
            text = stream.read(MOST_KEY)
    except (OSError, UnicodeDecodeError) as error:
        source.problems.append(f"The key file {path} cannot be read: {_reason(error)}.")
        return None
    return _clean_key(text, f"The key file {path}", source)


def _clean_key(text: str, name: str, source: _Source) -> ApiKey | None:
    key = text.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        source.problems.append(f"{name} holds no key: a key is one word of plain characters.")
        return None
    return ApiKey(key)


def warnings(settings: Settings) -> list[str]:
    """Return what is not wrong but should be known: a file with the key that others can read."""
    origin, by_name, _ = settings.api_key.origin.partition(" (RUNA_API_KEY_FILE")
    path = Path(origin)
    if origin in {"environment", ORIGIN_DEFAULT} or not path.is_file() or not stat.S_IMODE(path.stat().st_mode) & 0o077:
        return []
    named = f"key file {path}" if by_name else f"settings file {path} holds the key and"
    return [f"The {named} can be read by others: chmod 600 {path}"]


def _environment(source: _Source, key: Setting[ApiKey | None]) -> Setting[Environment | None]:
    asked: Setting[Environment | None] = source.read("RUNA_ENV", None, _environment_name)
    if asked.value is not None or key.value is None or key.value.environment is None:
        return asked
    return Setting(key.value.environment, "the key's prefix")


def _environment_name(text: str) -> Environment:
    for name in ENVIRONMENTS:
        if text == name:
            return name
    raise ValueError(f"must be one of {', '.join(ENVIRONMENTS)}, found {text[:40]!r}")


def _base_url(source: _Source) -> Setting[str | None]:
    found: Setting[str | None] = source.read("RUNA_BASE_URL", None, _https_or_loopback)
    if found.value is None or found.origin == "environment":
        return found
    host = urlsplit(found.value).hostname or ""
    if is_loopback(host) or host == "runa.io" or host.endswith(".runa.io"):
        return found
    source.problems.append(
        f"RUNA_BASE_URL ({found.origin}) names {host}: a file may name only *.runa.io or this machine,"
        " so that it cannot send the key elsewhere; set it in the environment if it is meant."
    )
    return Setting(None, ORIGIN_DEFAULT)


_URL = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?:/[A-Za-z0-9._~/-]*)?")


def _https_or_loopback(text: str) -> str:
    """Check a base URL. Its characters are few: in the others, two readers of one URL may see two different hosts."""
    url = text.strip()
    if "@" in url:
        raise ValueError("must hold no user name or password")
    match = _URL.fullmatch(url)
    if match is None or not 0 < int(match["port"] or 443) < 65_536:
        raise ValueError(f"must be a URL such as {BASE_URLS['playground']}")
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"must use https: plain http to {parts.hostname} would show the key to everyone on the way")
    return url.rstrip("/")


def _ledger(source: _Source) -> Setting[Path]:
    found: Setting[Path | None] = source.read("RUNA_LEDGER", None, _path)
    if found.value is not None:
        return Setting(found.value, found.origin)
    return Setting(data_directory() / "ledger.db", ORIGIN_DEFAULT)


def data_directory() -> Path:
    """Return the directory where this program keeps a user's data. Raises ConfigurationError."""
    return _directory(platformdirs.user_data_path, "XDG_DATA_HOME")


def cache_directory() -> Path:
    """Return the directory where this program keeps what it can fetch again. Raises ConfigurationError."""
    return _directory(platformdirs.user_cache_path, "XDG_CACHE_HOME")


def _directory(of_user: Callable[..., Path], variable: str) -> Path:
    try:
        return of_user("runa", appauthor=False)
    except RuntimeError as error:
        raise ConfigurationError(
            "This user has no home directory.", f"Export HOME, or {variable} with a directory that only you can read."
        ) from error


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"names the home of somebody who has none: {text[:40]!r}") from error


def _optional(convert: Callable[[str], T]) -> Callable[[str], T | None]:
    return convert


def _one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in names:
            raise ValueError(f"must be one of {', '.join(names)}, found {text[:40]!r}")
        return text

    return convert


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {what}, found {text[:40]!r}")
        return text

    return convert


def _seconds(text: str) -> float:
    try:
        seconds = float(Decimal(text))
    except InvalidOperation as error:
        raise ValueError(f"must be a number of seconds, found {text[:40]!r}") from error
    if not 0 < seconds <= 86_400:
        raise ValueError(f"must be more than 0 and at most 86400 seconds, found {text[:40]!r}")
    return seconds


def _whole(least: int, most: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}, found {text[:40]!r}")
        return int(text)

    return convert


def _codes(text: str) -> tuple[str, ...]:
    return tuple(code for code in re.split(r"[\s,|]+", text) if code)
