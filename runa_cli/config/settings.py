"""All settings of one run, each with its origin, and the checks that concern several of them."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from runa_cli.config.api_key import ApiKey, read_api_key
from runa_cli.config.dotenv_file import read_dotenv
from runa_cli.config.ledger_address import LedgerAddress, read_ledger
from runa_cli.config.names import name_problems
from runa_cli.config.network import network_problems
from runa_cli.config.paths import data_directory
from runa_cli.config.profiles import DECISIVE, Profile, read_profile
from runa_cli.config.sources import ORIGIN_DEFAULT, Setting, Sources
from runa_cli.config.values import (
    API_VERSION,
    AUTO,
    BASE_URLS,
    FORMATS,
    LOOK_BACK_DAYS,
    MODES,
    ORDERS_PER_MINUTE,
    Auto,
    Environment,
    auto_or,
    is_loopback,
    is_runa,
    matching,
    one_of,
    optional,
    read_base_url,
    read_environment,
    read_path,
    read_product_codes,
    read_seconds,
    whole_number,
)
from runa_cli.core.errors import ConfigurationError
from runa_cli.core.masking import mask_keys
from runa_cli.core.money import parse_amount


class Settings(NamedTuple):
    """Every setting of one run. Times are in seconds, the rate limit in orders per minute, 0 for no limit.

    `look_back` is in days. `max_total` is in the currency of the face values. `problems` says which settings cannot be
    used.
    """

    profile: Setting[str | None]
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
    concurrency: Setting[int | Auto]
    max_total: Setting[Decimal | None]
    policy: Setting[Path | None]
    ledger: Setting[LedgerAddress]
    look_back: Setting[int]
    output: Setting[str]
    no_color: Setting[bool]
    problems: tuple[str, ...] = ()

    @property
    def payer(self) -> str:
        """The account, with the profile that was chosen, for a person who decides whether it is the right one."""
        account = self.account or "(hidden)"
        return f"{account} (profile {self.profile.value})" if self.profile.value else account

    @property
    def account(self) -> str:
        """What may be shown of the account that pays: the key's prefix, or `emulator`."""
        key = self.api_key.value
        return "emulator" if self.environment.value == "local" else (key.prefix if key else "")


def load(
    flags: Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    env_file: Path | None = None,
) -> Settings:
    """Read every setting. What cannot be used is listed in `problems`, which `check` turns into an error.

    `flags` maps names of variables to values. `env_file` is read in place of `.env` in the directory. Raises
    UsageMistake for the value of a flag, and ConfigurationError for a `.env` file that cannot be read.
    """
    environ = os.environ if environ is None else environ
    path = env_file or (directory or Path()) / ".env"
    dotenv = read_dotenv(path, named=env_file is not None)
    source = Sources(flags or {}, environ, dotenv, [*dotenv.problems, *name_problems(environ, dotenv)])
    profile = _profile(source)
    chosen: Setting[Environment | None] = source.read("RUNA_ENV", None, read_environment)
    api_key = read_api_key(source, local=chosen.value == "local")
    return Settings(
        profile=profile,
        environment=_environment(chosen, api_key),
        api_key=api_key,
        base_url=_base_url(source),
        api_version=source.read("RUNA_API_VERSION", API_VERSION, matching(r"[\x21-\x7e]{1,40}", "a version")),
        currency=source.read("RUNA_CURRENCY", None, optional(str)),
        products=source.read("RUNA_PRODUCTS", (), read_product_codes),
        template_id=source.read("RUNA_TEMPLATE_ID", None, optional(str)),
        mode=source.read("RUNA_MODE", "auto", one_of(MODES)),
        timeout=source.read("RUNA_TIMEOUT", 120.0, read_seconds),
        rate_limit=source.read("RUNA_RATE_LIMIT", ORDERS_PER_MINUTE, whole_number(0, 100_000)),
        concurrency=source.read("RUNA_CONCURRENCY", AUTO, auto_or(whole_number(1, 64))),
        max_total=source.read("RUNA_MAX_TOTAL", None, optional(parse_amount)),
        policy=source.read("RUNA_POLICY", None, optional(read_path)),
        ledger=_ledger(source),
        look_back=source.read("RUNA_LOOK_BACK", LOOK_BACK_DAYS, whole_number(0, 365)),
        output=source.read("RUNA_OUTPUT", "table", one_of(FORMATS)),
        no_color=Setting(bool(environ.get("NO_COLOR")), "environment" if environ.get("NO_COLOR") else ORIGIN_DEFAULT),
        problems=tuple(source.problems),
    )


def check(settings: Settings) -> None:
    """Check that these settings allow a request. Raises ConfigurationError naming every problem."""
    check_readable(settings)
    if settings.environment.value == "local":
        return
    if problems := [*_key_problems(settings), *_url_problems(settings)]:
        raise _unusable(problems)


def check_readable(settings: Settings) -> None:
    """Check that every setting could be read: none is what it seems otherwise. Raises ConfigurationError."""
    if settings.problems:
        raise _unusable(settings.problems)


def check_network(url: str) -> None:
    """Check the proxy and CA variables of the environment for requests to a base URL. Raises ConfigurationError."""
    if problems := list(network_problems(url)):
        raise ConfigurationError(" ".join(problems), "Correct or unset it, then run the same command again.")


def _unusable(problems: Sequence[str]) -> ConfigurationError:
    wrong = problems[0] if len(problems) == 1 else "\n  ".join(["Settings cannot be used:", *problems])
    return ConfigurationError(wrong, hint="`runa config` shows every setting and where it came from.")


def _url_problems(settings: Settings) -> list[str]:
    """Without /v2, Runa answers every request as if the key were wrong. Another host may serve it at another path."""
    url, origin = settings.base_url.value or "", settings.base_url.origin
    if not is_runa(urlsplit(url).hostname) or urlsplit(url).path.endswith("/v2"):
        return []
    example = BASE_URLS.get(settings.environment.value or "", BASE_URLS["live"])
    return [f"RUNA_BASE_URL ({origin}) must end with /v2, as in {example}."]


def _key_problems(settings: Settings) -> list[str]:
    key, environment = settings.api_key.value, settings.environment.value
    if key is None:
        raise ConfigurationError(
            "There is no API key: RUNA_API_KEY is not set.",
            code="no_key",
            hint="Create one at app.runa.io/api-keys and export RUNA_API_KEY, choose a --profile, or use --env local to"
            " try without one.",
        )
    if environment is None:
        return ["The key begins with neither wg (live) nor xx (playground): name its environment with --env."]
    if key.environment not in (None, environment):
        return [
            f"The key belongs to {key.environment}, but the environment is {environment}"
            f" ({settings.environment.origin}): use a {environment} key, or --env {key.environment}."
        ]
    return []


def request_url(settings: Settings) -> str | None:
    """Return the base URL to send requests to; None for the embedded emulator."""
    if settings.base_url.value:
        return settings.base_url.value
    return BASE_URLS.get(settings.environment.value or "")


def warnings(settings: Settings) -> list[str]:
    """Return warnings about settings that can be used: a file with the key that other users can read."""
    origin, is_key_file, _ = settings.api_key.origin.partition(" (RUNA_API_KEY_FILE")
    path = Path(origin)
    if origin in {"environment", ORIGIN_DEFAULT} or not path.is_file() or not stat.S_IMODE(path.stat().st_mode) & 0o077:
        return []
    file = f"key file {path}" if is_key_file else f"settings file {path} contains the key and"
    return [f"The {file} can be read by other users: chmod 600 {path}"]


def _profile(source: Sources) -> Setting[str | None]:
    """Choose the profile, if one is named. Raises ConfigurationError for one that there is not."""
    found: Setting[str | None] = source.read("RUNA_PROFILE", None, matching(r".+", "the name of a profile"))
    if found.value is not None:
        source.profile = read_profile(found.value, found.origin)
        source.problems += [*source.profile.problems, *_contradictions(source, source.profile)]
    return found


def _contradictions(source: Sources, profile: Profile) -> Iterator[str]:
    """Yield a sentence for each setting that decides who pays and how much, if `.env` sets it otherwise."""
    for name in DECISIVE:
        value = source.dotenv.values.get(name)
        overridden = source.flags.get(name) is not None or source.environ.get(name)
        if value and not overridden and profile.values.get(name, value) != value:
            yield f"{name} ({source.dotenv.origin(name)}) is another than that of {profile.place}: remove one."


def _environment(chosen: Setting[Environment | None], key: Setting[ApiKey | None]) -> Setting[Environment | None]:
    if chosen.value is not None or key.value is None or key.value.environment is None:
        return chosen
    return Setting(key.value.environment, "the key's prefix")


def _base_url(source: Sources) -> Setting[str | None]:
    found: Setting[str | None] = source.read("RUNA_BASE_URL", None, read_base_url)
    if found.value is None or found.origin != source.dotenv.name:
        return found  # a profile is the user's own, too
    host = urlsplit(found.value).hostname or ""
    if is_loopback(host) or is_runa(host):
        return found
    source.problems.append(
        f"RUNA_BASE_URL ({found.origin}) names {mask_keys(host)}: a file may name only *.runa.io or this machine,"
        " so that it cannot send the key to another host; if the host is right, set the variable in the environment."
    )
    return Setting(None, ORIGIN_DEFAULT)


def _ledger(source: Sources) -> Setting[LedgerAddress]:
    found: Setting[LedgerAddress | None] = source.read("RUNA_LEDGER", None, read_ledger)
    if found.value is not None:
        return Setting(found.value, found.origin)
    return Setting(data_directory() / "ledger.db", ORIGIN_DEFAULT)
