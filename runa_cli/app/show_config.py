"""`config`: each setting, its value and origin, the profiles there are, and what is wrong with them."""

from runa_cli.app.session import Session
from runa_cli.config import profiles, sources
from runa_cli.config import settings as configuration
from runa_cli.config.ledger_address import ServerLedger, is_path
from runa_cli.config.profiles import Profile
from runa_cli.config.settings import Settings
from runa_cli.core.errors import ConfigurationError
from runa_cli.core.masking import mask_keys
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.tables import Column, list_parts

_FIELDS = ("setting", "value", "origin")
_COLUMNS = (Column("Setting", no_wrap=True), Column("Value"), Column("Origin"))
_VARIABLES = {
    "profile": "RUNA_PROFILE",
    "environment": "RUNA_ENV",
    "api_key": "RUNA_API_KEY",
    "base_url": "RUNA_BASE_URL",
    "api_version": "RUNA_API_VERSION",
    "currency": "RUNA_CURRENCY",
    "products": "RUNA_PRODUCTS",
    "template_id": "RUNA_TEMPLATE_ID",
    "mode": "RUNA_MODE",
    "timeout": "RUNA_TIMEOUT",
    "rate_limit": "RUNA_RATE_LIMIT",
    "concurrency": "RUNA_CONCURRENCY",
    "max_total": "RUNA_MAX_TOTAL",
    "policy": "RUNA_POLICY",
    "ledger": "RUNA_LEDGER",
    "look_back": "RUNA_LOOK_BACK",
    "output": "RUNA_OUTPUT",
    "no_color": "NO_COLOR",
}


def show(session: Session) -> None:
    """Show settings and profiles, then raise ConfigurationError if any is wrong. A missing API key is only reported."""
    found, problem = _profiles()
    rows = [*_rows(session.settings), *map(_profile_row, found)]
    view = View(
        entries=lambda: (dict(zip(_FIELDS, row, strict=True)) for row in rows),
        table=lambda width: list_parts(_COLUMNS, [[cell or "-" for cell in row] for row in rows], width),
        csv_header=_FIELDS,
        csv_cells=lambda: ([cell or "" for cell in row] for row in rows),
    )
    formats.show(session.output, view)
    try:
        session.checked()
    except ConfigurationError as error:
        if error.code != "no_key":
            raise
        session.console.say(f"{error.message} {error.hint}")
    if problem is not None:
        raise problem


def _profiles() -> tuple[list[Profile], ConfigurationError | None]:
    """Return the profiles, and what is wrong with their file or with any of them."""
    try:
        found = profiles.read_profiles()
    except ConfigurationError as error:
        return [], error
    wrong = [problem for profile in found for problem in profile.problems]
    return found, ConfigurationError("\n".join(wrong)) if wrong else None


def _profile_row(profile: Profile) -> tuple[str, str | None, str]:
    """Return what a profile sets. Of a command only its program is shown, for its words may be secret."""
    values = {name.removeprefix("RUNA_").lower(): value for name, value in profile.values.items()}
    if "api_key_command" in values:
        values["api_key_command"] = f"{values['api_key_command'].partition(' ')[0]} …"
    if "ledger" in values and not is_path(values["ledger"]):
        values["ledger"] = str(ServerLedger(values["ledger"]))
    shown = mask_keys(", ".join(f"{name} = {value}" for name, value in values.items()))
    return f"profile.{profile.name}", shown or None, str(profile.path)


def _rows(settings: Settings) -> list[tuple[str, str | None, str]]:
    rows = []
    for name, variable in _VARIABLES.items():
        setting = getattr(settings, name)
        value, origin = setting.value, setting.origin
        if name == "base_url" and value is None:
            value = configuration.request_url(settings)
        if isinstance(value, tuple):
            value = " ".join(value)
        if isinstance(value, float):
            value = f"{value:g}"
        shown = None if value is None or value == "" else mask_keys(str(value))
        rows.append((variable, shown, origin if value is not None or origin != sources.ORIGIN_DEFAULT else "not set"))
    return rows
