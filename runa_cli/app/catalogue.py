"""The catalogue, kept on this machine for a day so that a search is instant."""

import os
import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runa_cli.api import catalogue, countries, responses
from runa_cli.api.canonical import sha256_hex
from runa_cli.api.pagination import LIST_PAGE
from runa_cli.app.session import Session
from runa_cli.config import paths, settings
from runa_cli.core import exact_json
from runa_cli.core.errors import RunaError

FRESH = timedelta(hours=24)  # codes and values change rarely; the preflight of a batch always asks Runa itself


def load_catalogue(session: Session, *, refresh: bool = False, quiet: bool = False) -> list[dict[str, Any]]:
    """Return the catalogue: this machine's copy while it is fresh, else Runa's. Raises what Client.ask raises."""
    session.checked()
    path = _path(session)
    kept = None if refresh else _read_copy(path, session.clock.now())
    if kept is not None:
        fetched, products = kept
        age = session.clock.now() - fetched
        if not quiet:
            session.talk.say(f"From the catalogue of {_ago(age)} ago; --refresh fetches it anew.")
        return products
    pages = session.client.pages("/product", "catalog", {"limit": LIST_PAGE}, seconds=session.settings.timeout.value)
    products = [product for page in pages for product in page.members]
    with suppress(OSError):  # without a place to keep it, it is fetched again next time
        _write_copy(path, products, session.clock.now())
    return products


def currency_by_code(session: Session) -> dict[str, str]:
    """Return the currency of every code that can be ordered. Raises what Client.ask raises."""
    found: dict[str, str] = {}
    for entry in load_catalogue(session, quiet=True):
        try:
            product = responses.parse(catalogue.Product, entry)
        except responses.Unreadable:
            continue
        found.update(dict.fromkeys([product.code, *catalogue.plan_codes(product)], product.currency))
    return {code: currency for code, currency in found.items() if currency}


def _path(session: Session) -> Path:
    """Return where the copy for this account is: key prefix and address tell accounts apart."""
    where = f"{session.settings.account} {settings.request_url(session.settings) or ''}"
    name = f"catalogue-{session.environment}-{sha256_hex(where.encode())[:12]}.json"
    return paths.cache_directory() / name


def _read_copy(path: Path, now: datetime) -> tuple[datetime, list[dict[str, Any]]] | None:
    try:
        document = exact_json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict):
        return None
    fetched, products = responses.parse_time(document.get("fetched_at")), document.get("catalog")
    if fetched is None or not isinstance(products, list) or not timedelta(0) <= now - fetched < FRESH:
        return None
    return fetched, products


def _write_copy(path: Path, products: list[dict[str, Any]], now: datetime) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(exact_json.dumps({"fetched_at": now.isoformat(), "catalog": products}))
    Path(temporary).replace(path)


def _ago(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


class CodeCurrencies:
    """The currency of a product code: its own ending tells, or else the catalogue, which is fetched only then."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._catalogue: dict[str, str] | None = None

    def __call__(self, code: str) -> str | None:
        """Return the currency; None where nothing tells."""
        told = countries.code_currency(code)
        if told is not None:
            return told
        if self._catalogue is None:
            try:
                self._catalogue = currency_by_code(self._session)
            except RunaError as error:
                self._session.talk.say(
                    f"The catalogue could not be fetched for the currency of {code}: {error.message}"
                )
                self._catalogue = {}
        return self._catalogue.get(code)
