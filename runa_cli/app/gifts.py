"""`gift list` and `gift get`: the gifts of the ledger."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from runa_cli.app.batches import find, listed_environments, tell_of_other_environments
from runa_cli.app.found_gifts import FoundGift, FoundGifts
from runa_cli.app.session import Session
from runa_cli.config.values import ENVIRONMENTS
from runa_cli.core.errors import Context, GuardRefused, InputError, Money, UsageMistake
from runa_cli.core.identity import normalized_text, reference_key, search_key
from runa_cli.core.states import UNFINISHED, State
from runa_cli.ledger.gift_search import EVERY_GIFT, GiftFilter
from runa_cli.ledger.records import Batch
from runa_cli.ledger.results import COLUMNS
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.gift_table import Listed, gift_facts, gift_table
from runa_cli.output.tables import summary_parts

LISTED = 20  # gifts, enough for a screen
PAYOUT_STATUSES = ("ACTIVE", "CLAIMED", "CANCELLED", "EXPIRED")  # as Runa documents them
STATUSES = (*map(str, State), "unfinished", *PAYOUT_STATUSES)
_HEADER = ("batch", "environment", "created_at", *COLUMNS, "carried")


@dataclass(frozen=True)
class Page:
    """How much of a list to show: at most `limit` gifts, None for all, of those that follow the cursor `after`."""

    limit: int | None = None
    after: str | None = None


def search_words(text: str | None) -> tuple[str, ...]:
    """Return the words of a search, each of which a gift must contain, as they are compared."""
    return tuple(search_key(text or "").split())


def parse_status(text: str | None) -> tuple[frozenset[State] | None, str | None]:
    """Return the states of orders, or else the status of payouts, that a status means. Raises UsageMistake."""
    if text is None:
        return None, None
    for name in PAYOUT_STATUSES:
        if text.casefold() == name.casefold():
            return None, name
    states = {str(state): frozenset({state}) for state in State} | {"unfinished": UNFINISHED}
    if text.casefold() not in states:
        raise UsageMistake(f"--status must be one of {', '.join(STATUSES)}, found {text!r}.")
    return states[text.casefold()], None


def show_list(session: Session, wanted: GiftFilter, page: Page) -> None:
    """Show the gifts of the active environment, or of all where none is known: the newest orders first.

    Where there are more, that is said on standard error. Raises UsageMistake for a cursor that is none.
    """
    environments = listed_environments(session)
    found = FoundGifts(session.ledger, wanted)
    start = None if page.after is None else _read_cursor(page.after, environments)
    every = _newest(found, environments, start)
    listed = _Listed(every, page.limit)
    formats.show(session.output, _list_view(listed, wanted, with_environment=len(environments) > 1))
    if listed.has_more and listed.last is not None:
        cursor = ".".join(map(str, (listed.last.batch.environment, *listed.last.place)))
        session.console.next_page(cursor, f"There are more: add --after {cursor}, or --all for all of them.")
    if wanted.words:
        _tell_of_pruned(session, found)
    tell_of_other_environments(session, environments)


def show_batch(session: Session, name: str, wanted: GiftFilter, page: Page) -> None:
    """Show the gifts of a batch by row, as `batch export` does; once all of them are shown, that is recorded too.

    Raises InputError, GuardRefused for a pruned batch, UsageMistake for a cursor that is none, and OutputFailed.
    """
    from runa_cli.issuing.guard import check_not_pruned  # imported late: it loads pydantic

    batch, ledger = find(session, name), session.ledger
    check_not_pruned(batch)
    tally = ledger.tally(batch)
    skipped = 0 if page.after is None else _read_number(page.after)
    every = islice(FoundGifts(ledger, wanted).of_batch(batch), skipped, None)
    listed = _Listed(every, page.limit)
    session.output.context = Context(batch=name)
    session.output.money = Money.ISSUED if tally.any(State.COMPLETED) else Money.NOT_ISSUED
    formats.show(session.output, _batch_view(listed, wanted, batch))
    if listed.has_more and listed.last is not None:
        cursor = str(skipped + listed.count)
        session.console.next_page(cursor, f"There are more: add --after {cursor}, or leave out --limit.")
    elif wanted == EVERY_GIFT and not skipped and not tally.any(*UNFINISHED):
        ledger.mark_shown(batch, session.clock.now())


def show_one(session: Session, text: str, batch_name: str | None) -> None:
    """Show one gift by its item id, link or reference.

    Raises InputError where there is none, UsageMistake where there are several, and GuardRefused where it was pruned.
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
    view = View(
        entries=lambda: [gift.document()],
        documents=lambda: [gift.document()],
        table=lambda _: summary_parts(gift_facts(gift.row, gift.batch, gift.created_at)),
        csv_header=_HEADER,
        csv_cells=lambda: [_cells(gift)],
        links=lambda: filter(None, [gift.row.payout_url]),
        gifts=lambda: [gift.line],
    )
    formats.show(session.output, view)


# --- lists -----------------------------------------------------------------------------------------------------------


class _Listed:
    """The gifts that a list shows; which was the last one, how many there were, and whether there are more."""

    def __init__(self, gifts: Iterator[FoundGift], limit: int | None) -> None:
        self._gifts = gifts
        self._limit = limit
        self.last: FoundGift | None = None
        self.count = 0

    def __iter__(self) -> Iterator[FoundGift]:
        for gift in islice(self._gifts, self._limit):
            self.last, self.count = gift, self.count + 1
            yield gift

    @property
    def has_more(self) -> bool:
        """Whether there are more gifts; asked once, after those of the list were shown."""
        return self._limit is not None and next(self._gifts, None) is not None


def _newest(
    found: FoundGifts, environments: Iterable[str], start: tuple[str, tuple[int, int]] | None
) -> Iterator[FoundGift]:
    for environment in environments:
        if start is None:
            yield from found.newest(environment)
        elif environment == start[0]:
            yield from found.newest(environment, after=start[1])
            start = None


def _list_view(listed: Iterable[FoundGift], wanted: GiftFilter, *, with_environment: bool) -> View:
    empty_message = "Nothing was issued from here yet." if wanted == EVERY_GIFT else "No gift matches."
    return View(
        entries=lambda: (gift.document() for gift in listed),
        table=lambda width: gift_table(
            _for_table(listed, wanted), width, empty_message=empty_message, with_environment=with_environment
        ),
        csv_header=_HEADER,
        csv_cells=lambda: map(_cells, listed),
        links=lambda: (gift.row.payout_url for gift in listed if gift.row.payout_url),
        gifts=lambda: (gift.line for gift in listed),
    )


def _batch_view(listed: Iterable[FoundGift], wanted: GiftFilter, batch: Batch) -> View:
    return View(
        entries=lambda: (gift.document() for gift in listed),
        table=lambda width: gift_table(_for_table(listed, wanted), width, empty_message="No gift of it matches."),
        csv_header=(*COLUMNS, *batch.columns),
        csv_cells=lambda: (gift.row.cells() for gift in listed),
        links=lambda: (gift.row.payout_url for gift in listed if gift.row.payout_url),
        gifts=lambda: (gift.line for gift in listed),
    )


def _for_table(listed: Iterable[FoundGift], wanted: GiftFilter) -> Iterator[Listed]:
    """Yield gifts as the table shows them, with the carried cells by which they were found."""
    for gift in listed:
        beside = [cell for cell in gift.row.carried if any(word in search_key(cell) for word in wanted.words)]
        yield Listed(gift.row, gift.batch, gift.created_at, beside)


def _cells(gift: FoundGift) -> list[str]:
    """Return the cells of a gift outside of its batch: its carried cells are one, for each batch has other columns."""
    carried = gift.line["carried"]
    row = gift.row.cells()[: len(COLUMNS)]
    return [
        gift.batch.name,
        gift.batch.environment,
        gift.created_at,
        *row,
        json.dumps(carried, ensure_ascii=False) if carried else "",
    ]


def _read_cursor(text: str, environments: Iterable[str]) -> tuple[str, tuple[int, int]]:
    found = re.fullmatch(rf"({'|'.join(ENVIRONMENTS)})\.([0-9]{{1,18}})\.([0-9]{{1,9}})", text)
    if not found:
        raise UsageMistake(f"--after must be a cursor that `runa gift list` has told, found {text!r}.")
    if found[1] not in environments:
        raise UsageMistake(f"--after {text} belongs to a list of {found[1]}: add --env {found[1]}.")
    return found[1], (int(found[2]), int(found[3]))


def _read_number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise UsageMistake(f"--after must be a cursor that `runa gift list --batch` has told, found {text!r}.")
    return int(text)


def _tell_of_pruned(session: Session, found: FoundGifts) -> None:
    for batch in found.pruned.values():
        session.console.note(
            f"Batch {batch.name} matches too, but it was pruned on {batch.pruned_at:%Y-%m-%d}: its gifts are no longer"
            " recorded."
        )


# --- one gift --------------------------------------------------------------------------------------------------------


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
