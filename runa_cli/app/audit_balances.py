"""What an audit says of the balances that were noted: by how much each fell, against what was charged meanwhile."""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

from msgspec import Struct

from runa_cli.app import audit_rows
from runa_cli.app.report_output import Entry
from runa_cli.core.money import counted, plain_decimal
from runa_cli.ledger.balance_notes import BalanceSpan

AGREES, DIFFERS, NOT_COMPARED = "balance_agrees", "balance_differs", "balance_not_compared"


def balance_entries(spans: Sequence[BalanceSpan]) -> Iterator[Entry]:
    """Yield rows for each balance: one for what agrees, one for each reason not to compare, and each difference."""
    for (account, currency), balance in _balances(spans):
        common = {**dict.fromkeys(audit_rows.FIELDS), "currency": currency, "whose": f"account {account}"}
        if balance.agreeing:
            orders, charged = sum(each.orders for each in balance.agreeing), _charged(balance.agreeing)
            amount = plain_decimal(charged, currency)
            yield {**common, "category": AGREES, "orders": orders, "here": amount, "at_runa": amount}
        for reason, count in sorted(balance.reasons.items()):
            yield {
                **common,
                "category": NOT_COMPARED,
                "next": f"{counted(count, 'period')} cannot be compared: {reason}",
            }
        for span in balance.differing:
            yield {
                **common,
                "category": DIFFERS,
                "orders": span.orders,
                "here": plain_decimal(span.charged, currency),
                "at_runa": plain_decimal(span.spent or Decimal(0), currency),
                "batch": span.last.batch if span.is_run else None,
                "created_at": span.last.at.isoformat(),
                "next": f"{_when(span)}: {_hint(span)}",
            }


def balance_lines(spans: Sequence[BalanceSpan]) -> Iterator[str]:
    """Yield the same for people, in lines."""
    for (account, currency), balance in _balances(spans):
        begin = f"balance of {account}, {currency}:"
        if balance.agreeing:
            count, charged = len(balance.agreeing), audit_rows.shown(_charged(balance.agreeing), currency)
            yield f"{begin} {counted(count, 'period')} {'agrees' if count == 1 else 'agree'}, {charged} charged."
        for span in balance.differing:
            by, charged = _shown(abs(_over(span)), span), _shown(span.charged, span)
            fell = _shown(span.spent or Decimal(0), span)
            amounts = f"it fell by {fell}, and {charged} were charged"
            yield f"{begin} differs by {by} {_when(span)}: {amounts}; {_hint(span)}."
        for reason, count in sorted(balance.reasons.items()):
            yield f"{begin} {counted(count, 'period')} cannot be compared: {reason}."


class _Balance(Struct):
    """What is said of one balance: the spans that agree and that differ, and how many cannot be compared, by why."""

    agreeing: list[BalanceSpan]
    differing: list[BalanceSpan]
    reasons: Counter[str]


def _balances(spans: Sequence[BalanceSpan]) -> Iterator[tuple[tuple[str, str], _Balance]]:
    """Yield what is said of each balance, by account and currency."""
    for key, own in groupby(sorted(spans, key=_key), _key):
        balance = _Balance([], [], Counter())
        for span in own:
            if reason := _why_not(span):
                balance.reasons[reason] += 1
            else:
                (balance.differing if _over(span) else balance.agreeing).append(span)
        yield key, balance


def _key(span: BalanceSpan) -> tuple[str, str]:
    return span.last.account, span.last.currency


def _why_not(span: BalanceSpan) -> str:
    """Say why nothing can be compared; empty where something can."""
    if span.last.amount is None:
        return "the balance could not be fetched"
    if span.first is None:
        return "no balance was noted before it"
    if span.under_way:
        return "orders were under way when the balance was noted"
    return "the price of an order is not recorded" if span.unpriced else ""


def _over(span: BalanceSpan) -> Decimal:
    """Return by how much more the balance fell than the ledger knows of."""
    return (span.spent or Decimal(0)) - span.charged


def _when(span: BalanceSpan) -> str:
    begin = span.first.at if span.first else span.last.at
    times = f"from {begin.astimezone():%Y-%m-%d %H:%M:%S} until {span.last.at.astimezone():%Y-%m-%d %H:%M:%S}"
    return f"in the run of batch {span.last.batch}, {times}" if span.is_run else times


def _hint(span: BalanceSpan) -> str:
    if _over(span) > 0:
        return "somebody else may have ordered with this account"
    return "it may have been topped up, or an order was refunded"


def _shown(amount: Decimal, span: BalanceSpan) -> str:
    return audit_rows.shown(amount, span.last.currency)


def _charged(spans: Sequence[BalanceSpan]) -> Decimal:
    return sum((span.charged for span in spans), Decimal(0))
