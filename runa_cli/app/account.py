"""`ping` and `balance`: the connection to Runa, and the money of the account."""

from runa_cli.api import responses
from runa_cli.app.session import Session
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
        held = session.client.document("/balance", {"currency": currency.upper()}, seconds=seconds)
        formats.show(session.output, lists.list_view(_BALANCES, [held])._replace(documents=lambda: [held]))
        return
    lists.show_list(session.output, _BALANCES, session.client.documents("/balance", "balance", seconds=seconds))
