"""Which orders a ledger may have lost, of which accounts, and what a check has found of them."""

from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct, field

from runa_cli.api import responses
from runa_cli.api.classify import Answered
from runa_cli.api.client import Client
from runa_cli.core.states import State
from runa_cli.issuing.new_orders import name_mark
from runa_cli.ledger.high_water import Doubt
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import AdoptedOrder, Order
from runa_cli.ledger.restoration import ADOPTED, ANY_ORDER, SETTLED, Missing

_LOOKED_AT = 1000  # replies that tell until when a ledger knew everything
_MARGIN = timedelta(days=2)  # orders that were under way at once are not created in the order of their replies


def lost_since(ledger: Ledger, doubt: Doubt | None, environment: str) -> Missing:
    """Return which orders of an environment a ledger may lack that is behind its high-water mark.

    They were sent after the latest order, by Runa's clock, that was sent before the newest event which its journal has
    in common with the mark: later ones it may have sent itself, after the others were lost. What an earlier check was
    to read back and did not is missing still.
    """
    if doubt is None or doubt.known_until is None:
        return ANY_ORDER
    replies = ledger.newest_replies(environment, doubt.known_until, _LOOKED_AT)
    known = [created for reply in replies if (created := _created(reply))]
    since, own_names = max(known) - _MARGIN if known else None, name_mark(ledger.id)
    unread = ledger.unread(environment)
    if unread is None:
        return Missing(since, own_names)
    earliest = None if since is None or unread.since is None else min(since, unread.since)
    return Missing(earliest, None if unread.own_names is None else own_names)


def _created(reply: bytes) -> datetime | None:
    try:
        return responses.read_order(reply).created
    except responses.Unreadable:
        return None


class FoundBatch(Struct):
    """What a check has found of one batch: counts and money of what was issued, and how it became known.

    `adopted` orders were not known to the ledger, `settled` ones were recorded, but not what became of them.
    """

    name: str
    named: bool
    adopted: int = 0
    settled: int = 0
    failed: int = 0
    gifts: int = 0
    money: dict[str, Decimal] = field(default_factory=dict)
    order_ids: list[str] = field(default_factory=list)

    def count(self, order: AdoptedOrder | Order, how: str) -> None:
        """Count an order that was recorded; `how`: as it is noted in the ledger."""
        self.order_ids.append(order.order_id or "")
        self.adopted += how == ADOPTED
        self.settled += how == SETTLED
        if order.state is State.FAILED:
            self.failed += 1
        else:
            self.gifts += order.item_count
            self.money[order.currency] = self.money.get(order.currency, Decimal(0)) + Decimal(order.total)


def accounts_of_key(client: Client, ledger: Ledger, environment: str, account: str, *, seconds: float) -> set[str]:
    """Return the accounts in the ledger that are this key's own: an order of each can be read with it.

    Keys are rotated, and the ledger knows an account by what may be shown of its key.
    """
    same = {account}
    for other in ledger.accounts_used(environment) - same:
        for order_id in ledger.newest_of_account(environment, other, 1):
            answer = client.fetch_order(order_id, seconds=seconds)
            if isinstance(answer, Answered) and answer.order.id == order_id:
                same.add(other)
    return same
