"""`runa product`: the catalogue, kept for a while on this machine so that a search is instant."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runa_cli.api import responses
from runa_cli.api.client import LIST_PAGE
from runa_cli.api.order_models import digest
from runa_cli.app.session import Session
from runa_cli.config import settings
from runa_cli.core import exact_json
from runa_cli.core.errors import RequestRefused
from runa_cli.core.safe_text import defused
from runa_cli.ledger.results import csv_lines
from runa_cli.output import lists
from runa_cli.output.lists import Shelf, text
from runa_cli.output.tables import Column, Summary, summary_parts

FRESH = timedelta(hours=24)  # codes and values change rarely; the preflight of a batch always asks Runa itself


@dataclass(frozen=True)
class Wanted:
    """Which products."""

    country: str | None = None
    category: str | None = None
    currency: str | None = None
    search: str | None = None
    orderable: bool = False

    def fits(self, product: Mapping[str, Any]) -> bool:
        """Tell whether a product is wanted. A search looks into names and codes, in any letter case."""
        named = f"{text(product.get('code'))} {text(product.get('name'))}".casefold()
        return (
            _among(self.country, product.get("countries_redeemable_in"))
            and _among(self.category, product.get("categories"))
            and _among(self.currency, [product.get("currency")])
            and (not self.orderable or product.get("is_orderable") is True)
            and all(word in named for word in (self.search or "").casefold().split())
        )


def _among(wanted: str | None, values: object) -> bool:
    return wanted is None or (
        isinstance(values, list) and wanted.casefold() in {text(value).casefold() for value in values}
    )


def show_list(session: Session, wanted: Wanted, *, refresh: bool) -> None:
    """Show the products that fit."""
    lists.show(session.output, _SHELF, filter(wanted.fits, catalogue(session, refresh=refresh)))


def catalogue(session: Session, *, refresh: bool = False, quiet: bool = False) -> list[dict[str, Any]]:
    """Return the catalogue: this machine's copy while it is fresh, else Runa's. Raises what Client.ask raises."""
    session.checked()
    path = _path(session)
    kept = None if refresh else _read(path, session.clock.now())
    if kept is not None:
        fetched, products = kept
        age = session.clock.now() - fetched
        if not quiet:
            session.talk.say(f"From the catalogue of {_ago(age)} ago; --refresh fetches it anew.")
        return products
    pages = session.client.pages("/product", "catalog", {"limit": LIST_PAGE}, seconds=session.settings.timeout.value)
    products = [product for page in pages for product in page.members]
    with suppress(OSError):  # without a place to keep it, it is fetched again next time
        _write(path, products, session.clock.now())
    return products


def currencies(session: Session) -> dict[str, str]:
    """Return the currency of every code that can be ordered. Raises what Client.ask raises."""
    found: dict[str, str] = {}
    for entry in catalogue(session, quiet=True):
        try:
            product = responses.parse(responses.Product, entry)
        except responses.Unreadable:
            continue
        found.update(dict.fromkeys([product.code, *responses.plan_codes(product)], product.currency))
    return {code: currency for code, currency in found.items() if currency}


def _path(session: Session) -> Path:
    """Return where the copy for this account is: key prefix and address tell accounts apart."""
    where = f"{session.settings.account} {settings.request_url(session.settings) or ''}"
    name = f"catalogue-{session.environment}-{digest(where.encode())[:12]}.json"
    return settings.cache_directory() / name


def _read(path: Path, now: datetime) -> tuple[datetime, list[dict[str, Any]]] | None:
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


def _write(path: Path, products: list[dict[str, Any]], now: datetime) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(exact_json.dumps({"fetched_at": now.isoformat(), "catalog": products}))
    Path(temporary).replace(path)


def _ago(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def show_one(session: Session, code: str) -> None:
    """Show one product, as Runa has it now."""
    try:
        product = session.client.document(f"/product/{quote(code, safe='')}", seconds=session.settings.timeout.value)
    except RequestRefused as error:
        if error.code == "not_found":
            error.message = f"There is no product {code} in this catalogue ({session.environment})."
            error.hint = "`runa product list --search WORD` finds codes."
        raise
    if session.output.format == "json":
        session.output.json(product)
    elif session.output.format == "table":
        session.output.parts(summary_parts(_summary(product)))
    else:
        lists.show(session.output, _SHELF, [product])
    session.output.flush()


def show_names(session: Session, path: str, member: str) -> None:
    """Show the countries or the categories of the catalogue."""
    document = session.client.document(path, seconds=session.settings.timeout.value)
    try:
        names = [
            text(entry.get("code")) if isinstance(entry, dict) else text(entry) for entry in _list(document, member)
        ]
    except TypeError:
        names = []
    out = session.output
    match out.format:
        case "json":
            out.json(_list(document, member))
        case "jsonl":
            for entry in _list(document, member):
                out.json_line(entry)
        case "csv":
            for line in csv_lines([member], ([defused(name)] for name in names)):
                out.text(line)
        case _:
            out.lines(names)
    out.flush()


def _list(document: Mapping[str, Any], member: str) -> list[Any]:
    found = document.get(member)
    return found if isinstance(found, list) else []


def values(product: Mapping[str, Any]) -> str:
    """Say for what values a product can be ordered."""
    try:
        read = responses.parse(responses.Product, product)
    except responses.Unreadable:
        return ""
    plans = (read.subscription or {}).get("subscription_plans")
    if isinstance(plans, list):
        return ", ".join(f"{text(plan.get('price'))} ({text(plan.get('subscription_plan_code'))})" for plan in plans)
    return responses.denominations(read)


def _orderable(product: Mapping[str, Any]) -> str:
    return text(product.get("state")) if product.get("is_orderable") is True else "not orderable"


def _summary(product: Mapping[str, Any]) -> Summary:
    facts = [
        ("Name", text(product.get("name"))),
        ("Values", f"{values(product)} {text(product.get('currency'))}"),
        ("Countries", text(product.get("countries_redeemable_in"))),
        ("Categories", text(product.get("categories"))),
        ("Type", f"{text(product.get('payout_type'))}, {text(product.get('availability'))}".strip(", ")),
        ("Discount", text(product.get("discount_multiplier"))),
    ]
    return Summary("Product", text(product.get("code")), _orderable(product), facts)


def _cells(product: Mapping[str, Any]) -> Iterator[str]:
    for name in _FIELDS:
        yield values(product) if name == "values" else text(product.get(name))


_FIELDS = (
    "code", "name", "currency", "values", "is_orderable", "state", "payout_type", "discount_multiplier",
    "countries_redeemable_in", "categories",
)  # fmt: skip
_SHELF = Shelf(
    _FIELDS,
    lambda product: list(_cells(product)),
    (
        Column("Code", keep=True),
        Column("Name"),
        Column("Currency"),
        Column("Values"),
        Column("Countries"),
        Column("Categories"),
        Column("State", status=True),
    ),
    lambda product: [
        text(product.get("code")),
        text(product.get("name")),
        text(product.get("currency")),
        values(product),
        text(product.get("countries_redeemable_in")),
        text(product.get("categories")),
        _orderable(product),
    ],
    "No product fits.",
)
