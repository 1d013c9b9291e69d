"""Runa's catalogue, with a copy that is kept on this machine for a day to make searches fast."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from runa_cli.api import catalogue, responses
from runa_cli.api.canonical import sha256_hex
from runa_cli.api.pagination import LIST_PAGE
from runa_cli.app.completion_names import keep_products
from runa_cli.app.session import Session
from runa_cli.config import paths, settings
from runa_cli.core import exact_json
from runa_cli.core.errors import ConfigurationError
from runa_cli.output.private_file import private_file

MAX_AGE = timedelta(hours=24)  # codes and values change rarely; the preflight of a batch does not use the copy


def load_catalogue(session: Session, *, refresh: bool = False, quiet: bool = False) -> list[dict[str, Any]]:
    """Return the products: from the copy, or from Runa where it is too old. Raises what Client.pages raises."""
    session.checked()
    path = _path(session)
    copy = None if refresh else _read_copy(path, session.clock.now())
    if copy is not None:
        fetched, products = copy
        age = session.clock.now() - fetched
        if not quiet:
            session.console.say(f"From the catalogue of {_in_words(age)} ago; --refresh fetches it again.")
        return products
    pages = session.client.pages("/product", "catalog", {"limit": LIST_PAGE}, seconds=session.settings.timeout.value)
    products = [product for page in pages for product in page.members]
    with suppress(OSError):  # without a copy, it is fetched again next time
        _write_copy(path, products, session.clock.now())
    keep_products(session, products)
    return products


def known_names(session: Session) -> dict[str, str]:
    """Return the names of products by their codes from the copy, whatever its age; none where there is no copy."""
    try:
        document = exact_json.loads(_path(session).read_bytes())
    except (OSError, ValueError, ConfigurationError):
        return {}
    products = document.get("catalog") if isinstance(document, dict) else None
    return {
        entry["code"]: entry["name"]
        for entry in (products if isinstance(products, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("code"), str) and isinstance(entry.get("name"), str)
    }


class KnownCode(NamedTuple):
    """What the catalogue says of a product code or plan code."""

    name: str
    currency: str


def known_codes(session: Session) -> dict[str, KnownCode]:
    """Return every product code and plan code of the catalogue. Raises what Client.pages raises."""
    codes: dict[str, KnownCode] = {}
    for entry in load_catalogue(session, quiet=True):
        try:
            product = responses.parse(catalogue.Product, entry)
        except responses.Unreadable:
            continue
        known = KnownCode(product.name, product.currency)
        codes.update(dict.fromkeys([product.code, *catalogue.plan_codes(product)], known))
    return codes


def _path(session: Session) -> Path:
    """Return the path of the copy: one for each environment, key prefix and address of the API."""
    account = f"{session.settings.account} {settings.request_url(session.settings) or ''}"
    name = f"catalogue-{session.environment}-{sha256_hex(account.encode())[:12]}.json"
    return paths.cache_directory() / name


def _read_copy(path: Path, now: datetime) -> tuple[datetime, list[dict[str, Any]]] | None:
    try:
        document = exact_json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict):
        return None
    fetched, products = responses.parse_time(document.get("fetched_at")), document.get("catalog")
    if fetched is None or not isinstance(products, list) or not timedelta(0) <= now - fetched < MAX_AGE:
        return None
    return fetched, products


def _write_copy(path: Path, products: list[dict[str, Any]], now: datetime) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with private_file(path, lasting=False) as stream:
        stream.write(exact_json.dumps({"fetched_at": now.isoformat(), "catalog": products}).encode())


def _in_words(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if not minutes:
        return "less than a minute"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
