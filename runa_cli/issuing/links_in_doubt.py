"""Payout links that may be those of an order which was read back from Runa without its labels.

Runa keeps no labels. A link that has one, and is otherwise the same as a link that was read back, may be that link: it
is not made again unless a person says that another one is meant.
"""

import shlex
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from runa_cli.core import exact_json
from runa_cli.core.errors import Context
from runa_cli.core.identity import GiftIdentity, identify
from runa_cli.input.plan import Plan, is_link_item
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.refusals import GiftsRefused
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order

_MOST_NAMED = 5  # rows in a message


class _Link(NamedTuple):
    """A payout link that is about to be made."""

    row: int
    identity: GiftIdentity
    kind: str  # its identity without a label


def check_new(ledger: Ledger, plan: Plan, request: CreateRequest) -> None:
    """Check the links of a plan that are not left out of it. Raises GiftsRefused.

    A name of their own does not allow them: it says that what is known to be issued is meant once more, and for whom
    these links were issued is not known, not even where they were shown, nor in the batch that is added to.
    """
    doubtful = {kind: batch for kind, _, batch in ledger.read_back_links(request.environment)}
    found = [link for link in _links(plan) if link.kind in doubtful] if doubtful else []
    if found:
        raise _refused(found, doubtful[found[0].kind])


def check_order(ledger: Ledger, batch: Batch, order: Order) -> None:
    """Check the links of a recorded order before it is sent for the first time. Raises GiftsRefused.

    Only what was read back after the order was recorded counts: the rest was known by then.
    """
    doubtful: dict[str, tuple[int, Batch]] = {}
    for kind, newest_id, other in ledger.read_back_links(batch.environment):
        if other.id != batch.id and newest_id > doubtful.get(kind, (0, other))[0]:
            doubtful[kind] = newest_id, other
    if not doubtful:
        return
    for gift in ledger.order_results(order):
        if not is_link_item(gift.item_json) or not (gift.reference or any(gift.carried)):
            continue
        kind = _without_label(gift.item_json, order.currency)
        newest_id, other = doubtful.get(kind, (0, batch))
        if newest_id > gift.gift_id:
            identity = identify(gift.item, order.currency, gift.reference, gift.carried)
            raise _refused([_Link(gift.row, identity, kind)], other)


def _links(plan: Plan) -> Iterator[_Link]:
    for row in plan.rows(left=True):
        if is_link_item(row.item) and (row.reference or any(row.carried)):
            yield _Link(row.row, row.identity, _without_label(row.item, row.currency))


@lru_cache(maxsize=1024)  # a list has few values
def _without_label(item: str, currency: str) -> str:
    document = exact_json.loads(item)
    return identify(document if isinstance(document, dict) else {}, currency, None, ()).gift


def _refused(links: Iterable[_Link], batch: Batch) -> GiftsRefused:
    found = [*links]
    rows = ", ".join(str(link.row) for link in found[:_MOST_NAMED]) + (", …" if len(found) > _MOST_NAMED else "")
    return GiftsRefused(
        f"{len(found)} of the payout links (rows {rows}) may be issued already: batch {batch.name} was read back from"
        " Runa, which keeps no references, so for whom its links were made is not known. Nothing was sent.",
        f"The command that created it, with its file as it was then, or the older ledger tells. `runa batch export"
        f" {shlex.quote(batch.name)}` shows the links. If these gifts are other ones, add --again.",
        Context(batch=batch.name),
        [{"row": link.row} for link in found[:50]],
        code="links_in_doubt",
        gifts=dict.fromkeys((link.identity for link in found), f"may be a link of batch {batch.name}"),
    )
