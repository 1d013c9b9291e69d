"""`ping` and `balance`: the connection to Runa, and the money of the account."""

import re

from runa_cli.api import responses
from runa_cli.app.catalogue import known_codes
from runa_cli.app.session import Session
from runa_cli.app.similar_names import did_you_mean
from runa_cli.core.errors import InputError, RequestRefused, Unreachable
from runa_cli.core.masking import shown
from runa_cli.output import formats, lists
from runa_cli.output.formats import View
from runa_cli.output.lists import ListView, cell_text
from runa_cli.output.tables import Column


def ping(session: Session) -> None:
    """Send one request, and show that the key and the connection work and how long the answer took."""
    started = session.clock.seconds()
    answer = session.client.document("/ping", seconds=session.settings.timeout.value)
    took = session.clock.seconds() - started
    where = session.client.endpoint.base_url
    line = f"{answer.get('message')}: {session.environment} at {where} answered in {took:.2f} s"
    view = View(entries=lambda: [answer], documents=lambda: [answer], lines=lambda: [line])
    formats.show(session.output, view)


_BALANCES = ListView(
    ("currency", "balance"),
    lambda entry: [cell_text(entry.get("currency")), cell_text(entry.get("balance"))],
    (Column("Currency"), Column("Balance", number=True, no_wrap=True)),
    lambda entry: [cell_text(entry.get("currency")), f"{responses.as_decimal(entry.get('balance')):,}"],
    "All balances are empty.",
)


def balance(session: Session, currency: str | None) -> None:
    """Show the balance of one currency, or all balances that are not empty."""
    seconds = session.settings.timeout.value
    if currency is not None:
        held = _held(session, currency.upper(), seconds)
        formats.show(session.output, lists.list_view(_BALANCES, [held])._replace(documents=lambda: [held]))
        return
    lists.show_list(session.output, _BALANCES, session.client.documents("/balance", "balance", seconds=seconds))


def _held(session: Session, currency: str, seconds: float) -> dict[str, object]:
    """Return the balance in one currency. Raises InputError for a currency that Runa does not have.

    For one that was never held Runa answers 0, and perhaps for any other three letters, too.
    """
    if not re.fullmatch("[A-Z]{3}", currency):
        raise _no_currency(session, currency)
    try:
        held = session.client.document("/balance", {"currency": currency}, seconds=seconds)
    except RequestRefused as error:
        if error.code in {"bad_request", "validation_error", "currency_not_supported"}:
            raise _no_currency(session, currency) from error
        raise
    if not responses.as_decimal(held.get("balance")) and currency not in (_currencies(session) or {currency}):
        raise _no_currency(session, currency)
    return held


def _currencies(session: Session) -> set[str]:
    """Return the currencies of the catalogue's products; none where it cannot be fetched."""
    try:
        return {known.currency for known in known_codes(session).values()} - {""}
    except (RequestRefused, Unreachable):
        return set()


def _no_currency(session: Session, currency: str) -> InputError:
    known = _currencies(session)
    return InputError(
        f"There is no currency {shown(currency)}.{did_you_mean(currency, known)}",
        f"Products are in {', '.join(sorted(known))}." if known else "A currency is three letters, such as USD.",
        code="no_currency",
    )
