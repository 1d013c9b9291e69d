"""`config`: each setting, its value and origin, and what is wrong with the settings."""

from runa_cli.app.session import Session
from runa_cli.config import settings as configuration
from runa_cli.config import sources
from runa_cli.config.settings import Settings
from runa_cli.core.errors import ConfigurationError
from runa_cli.core.masking import mask_keys
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.tables import Column, list_parts

_FIELDS = ("setting", "value", "origin")
_COLUMNS = (Column("Setting", no_wrap=True), Column("Value"), Column("Origin"))
_VARIABLES = {
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
    """Show the settings, then raise ConfigurationError if they are invalid. A missing API key is only reported."""
    rows = _rows(session.settings)
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
