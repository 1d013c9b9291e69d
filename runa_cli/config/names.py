"""The names of the settings. A name that was meant to be one is an error, because its value would be ignored."""

import re
from collections.abc import Iterable, Iterator, Mapping

from runa_cli.config.dotenv_file import DotenvFile
from runa_cli.core.typos import one_typo

NAMES = (
    "RUNA_API_KEY",
    "RUNA_API_KEY_FILE",
    "RUNA_API_KEY_COMMAND",
    "RUNA_PROFILE",
    "RUNA_ENV",
    "RUNA_BASE_URL",
    "RUNA_API_VERSION",
    "RUNA_CURRENCY",
    "RUNA_PRODUCTS",
    "RUNA_TEMPLATE_ID",
    "RUNA_MODE",
    "RUNA_TIMEOUT",
    "RUNA_RATE_LIMIT",
    "RUNA_CONCURRENCY",
    "RUNA_MAX_TOTAL",
    "RUNA_POLICY",
    "RUNA_LEDGER",
    "RUNA_LOOK_BACK",
    "RUNA_OUTPUT",
)
_ALIKE = 0.7  # of two names: RUNA_POLICIES and RUNA_POLICY_FILE are, RUNA_POLLING is not
_SAFETY = ("RUNA_MAX_TOTAL", "RUNA_POLICY")  # compared even with names that begin otherwise, such as RNUA_MAX_TOTAL


def name_problems(environ: Mapping[str, str], dotenv: DotenvFile) -> Iterator[str]:
    """Yield a sentence for each name in the environment or `.env` that is no setting but was meant to be one.

    A name of the environment that resembles none may belong to another program.
    """
    for name, value in environ.items():
        if value and name not in NAMES and (problem := _problem(name)):
            yield f"{name} (environment){problem}"
    for name in dotenv.values:
        if name in NAMES:
            continue
        if problem := _problem(name) or (_is_prefixed(name) and " is not a setting of runa.") or None:
            yield f"{name} ({dotenv.origin(name)}){problem}"


def _problem(name: str) -> str | None:
    """Return what is wrong with a name that is no setting, as the rest of a sentence; None for one unlike any."""
    if _is_prefixed(name):
        meant = meant_by(name, NAMES) or next((one for one in _SAFETY if _resembles(name, one)), None)
    else:
        meant = meant_by(name, _SAFETY)
    return None if meant is None else f": did you mean {meant}?"


def _resembles(name: str, safety: str) -> bool:
    """Tell whether a name is like that of a safety setting, if more than a typo away: a limit must not be ignored."""
    from difflib import SequenceMatcher  # only where somebody has a name like ours

    own, known = (plain_name(one).removeprefix("runa") for one in (name, safety))
    return SequenceMatcher(None, own, known).ratio() >= _ALIKE


def meant_by(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one was meant to be, None where it resembles none."""
    plain = {plain_name(one): one for one in known}
    return plain.get(plain_name(name)) or next((plain[one] for one in plain if one_typo(plain_name(name), one)), None)


def _is_prefixed(name: str) -> bool:
    return name.upper().startswith("RUNA")


def plain_name(name: str) -> str:
    """Return a name without what is easily mistaken: case, underscores, hyphens, invisible characters."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
