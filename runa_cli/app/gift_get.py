"""`gift get`: one gift of the ledger by its item id, link or reference."""

import shlex
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from runa_cli.app.batches import find, listed_environments
from runa_cli.app.confirm import confirm_account
from runa_cli.app.found_gifts import CSV_HEADER, FoundGift, FoundGifts
from runa_cli.app.gift_list import search_words
from runa_cli.app.journal import note_links_read
from runa_cli.app.session import Session
from runa_cli.config.values import ENVIRONMENTS
from runa_cli.core.errors import Context, GuardRefused, InputError, UsageMistake
from runa_cli.core.identity import normalized_text, reference_key, search_key
from runa_cli.ledger.gift_search import EVERY_GIFT, GiftFilter
from runa_cli.ledger.records import Batch
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.gift_table import gift_facts
from runa_cli.output.tables import summary_parts


def show_one(session: Session, text: str, batch_name: str | None, *, yes: bool) -> None:
    """Show one gift by its item id, link or reference.

    Raises InputError where there is none, UsageMistake where there are several, and GuardRefused where it was pruned
    and, unless `yes`, where it was issued under another key.
    """
    environments = listed_environments(session)
    batch = None if batch_name is None else find(session, batch_name)
    if batch is not None:
        environments = [batch.environment]
    gifts = [*chain.from_iterable(_named(session, environment, text, batch) for environment in environments)]
    if not gifts:
        raise _not_found(session, text, environments, batch)
    if len(gifts) > 1:
        raise _several(text, gifts)
    (gift,) = gifts
    confirm_account(session, gift.batch, yes=yes)
    note_links_read(session, "gift get", gift.batch.environment, gift.batch.name)
    view = View(
        entries=lambda: [gift.document()],
        documents=lambda: [gift.document()],
        table=lambda width: summary_parts(gift_facts(gift.row, gift.batch, gift.created_at), width),
        csv_header=CSV_HEADER,
        csv_cells=lambda: [gift.cells()],
        links=lambda: filter(None, [gift.row.payout_url]),
        gifts=lambda: [gift.line],
    )
    formats.show(session.output, view)


def _named(session: Session, environment: str, text: str, batch: Batch | None = None) -> Iterator[FoundGift]:
    """Yield the gifts of an environment with this reference, or else with this item id or link.

    Raises GuardRefused where all gifts of the reference are in pruned batches.
    """
    ledger = session.ledger
    referenced = ledger.referenced(environment, [reference_key(text)] if reference_key(text) else [])
    orders = dict.fromkeys(each.order_row for each in referenced if batch is None or each.batch_id == batch.id)
    if not orders:
        yield from _issued_as(session, environment, text, batch)
        return
    found = FoundGifts(ledger, EVERY_GIFT)
    reference = normalized_text(text)
    gifts = [gift for order_row in reversed(orders) for gift in found.of_order(order_row)]
    gifts = [gift for gift in gifts if normalized_text(gift.row.reference) == reference]
    if not gifts:
        for pruned in found.pruned.values():
            raise _pruned(text, pruned)
    yield from gifts


def _issued_as(session: Session, environment: str, text: str, batch: Batch | None) -> Iterator[FoundGift]:
    """Yield the gift with an item id or a link: there is one, unless something went very wrong."""
    words = search_words(text)
    found = FoundGifts(session.ledger, GiftFilter(words=words)).newest(environment) if words else iter(())
    wanted = search_key(text)
    exact = (
        gift
        for gift in found
        if wanted in {search_key(gift.row.item_id), search_key(gift.row.payout_url)}
        and (batch is None or gift.batch.id == batch.id)
    )
    yield from islice(exact, 1)


def _not_found(session: Session, text: str, environments: list[str], batch: Batch | None) -> InputError:
    where = (
        f"in batch {batch.name}" if batch else f"in {environments[0]}" if len(environments) == 1 else "in the ledger"
    )
    hint = f"`runa gift list --search {shlex.quote(text)}` also finds parts of addresses, names, references and ids."
    others = [] if batch else [each for each in ENVIRONMENTS if each not in environments]
    for other in others:
        try:
            if next(_named(session, other, text), None) is not None:
                hint = f"There is one in {other}: add --env {other}."
        except GuardRefused:
            continue
    return InputError(f"There is no gift with the item id, link or reference {text} {where}.", hint, code="no_gift")


def _pruned(text: str, batch: Batch) -> GuardRefused:
    return GuardRefused(
        f"The gift {text} is part of batch {batch.name}, which was pruned on {batch.pruned_at:%Y-%m-%d}: its link and"
        " address are no longer recorded.",
        "`runa order get ID` shows its order as Runa has it; `runa batch show` has the id.",
        Context(batch=batch.name),
        code="pruned",
    )


def _several(text: str, gifts: Iterable[FoundGift]) -> UsageMistake:
    gifts = list(gifts)
    lines = [f"\n  {_choice(gift)}" for gift in gifts[:10]]
    more = f"\n  and {len(gifts) - 10} more" if len(gifts) > 10 else ""
    return UsageMistake(
        f"{len(gifts)} gifts have the reference {text}:{''.join(lines)}{more}",
        f"Name one by its item id, or the batch with --batch. `runa gift list --search {shlex.quote(text)}` shows them"
        " with their links.",
        code="ambiguous",
        details=[
            {
                "environment": gift.batch.environment,
                "batch": gift.batch.name,
                "row": gift.row.row or None,
                "item_id": gift.row.item_id or None,
                "status": gift.row.status,
            }
            for gift in gifts
        ],
    )


def _choice(gift: FoundGift) -> str:
    row = gift.row
    what = f"{row.face_value} {row.currency} to {row.recipient or row.reference}, {row.status}"
    return f"{row.item_id or 'no item id'}: batch {gift.batch.name} ({gift.batch.environment}), row {row.row}, {what}"
