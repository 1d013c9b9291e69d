"""`gift list`: the gifts of the ledger, those of the newest orders first, or those of a batch by row."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec import Struct

from runa_cli.app.batches import find, listed_environments, tell_of_other_environments
from runa_cli.app.confirm import confirm_account, other_accounts
from runa_cli.app.found_gifts import CSV_HEADER, FoundGift, FoundGifts
from runa_cli.app.journal import note_links_read
from runa_cli.app.session import Session
from runa_cli.config.values import ENVIRONMENTS
from runa_cli.core.errors import Context, Money, UsageMistake
from runa_cli.core.identity import search_key
from runa_cli.core.states import UNFINISHED, State
from runa_cli.ledger.gift_search import EVERY_GIFT, GiftFilter
from runa_cli.ledger.records import Batch
from runa_cli.ledger.results import COLUMNS, carried_headings
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.gift_table import Listed, gift_table

LISTED = 20  # gifts, enough for a screen
PAYOUT_STATUSES = ("ACTIVE", "CLAIMED", "CANCELLED", "EXPIRED")  # as Runa documents them
STATUSES = (*map(str, State), "unfinished", *PAYOUT_STATUSES)


class Page(Struct, frozen=True):
    """How much of a list to show: at most `limit` gifts, None for all, of those that follow the cursor `after`."""

    limit: int | None = None
    after: str | None = None


def search_words(text: str | None) -> tuple[str, ...]:
    """Return the words of a search as they are compared."""
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


def show_list(session: Session, wanted: GiftFilter, page: Page, *, yes: bool) -> None:
    """Show the gifts of the active environment, or of all where none is known: the newest orders first.

    Links that were issued under another key are left out unless `yes`. That, and where there are more, is said on
    standard error. Raises UsageMistake for a cursor that is none.
    """
    environments = listed_environments(session)
    found = FoundGifts(session.ledger, wanted, withholds=lambda batch: not yes and bool(other_accounts(session, batch)))
    start = None if page.after is None else _read_cursor(page.after, environments)
    every = _newest(found, environments, start)
    listed = _Listed(every, page.limit)
    for environment in environments:
        note_links_read(session, "gift list", environment)
    formats.show(session.output, _list_view(listed, wanted, with_environment=len(environments) > 1))
    if listed.has_more and listed.last is not None:
        cursor = ".".join(map(str, (listed.last.batch.environment, *listed.last.place)))
        session.console.next_page(cursor, f"There are more: add --after {cursor}, or --all for all of them.")
    if found.withheld:
        session.console.note("Links that were issued under another key are left out: add --yes to show them.")
    if wanted.words:
        _tell_of_pruned(session, found)
    tell_of_other_environments(session, environments)


def show_batch(session: Session, name: str, wanted: GiftFilter, page: Page, *, yes: bool) -> None:
    """Show the gifts of a batch by row, as `batch export` does; once all of them are shown, that is recorded too.

    Raises InputError, GuardRefused for a pruned batch and for one of another key unless `yes`, UsageMistake for a
    cursor that is none, and OutputFailed.
    """
    from runa_cli.issuing.guard import check_not_pruned  # imported late: it loads pydantic

    batch, ledger = find(session, name), session.ledger
    check_not_pruned(batch)
    confirm_account(session, batch, yes=yes)
    tally = ledger.tally(batch)
    skipped = 0 if page.after is None else _read_number(page.after)
    every = islice(FoundGifts(ledger, wanted).of_batch(batch), skipped, None)
    listed = _Listed(every, page.limit)
    session.output.context = Context(batch=name)
    session.output.money = Money.ISSUED if tally.any(State.COMPLETED) else Money.NOT_ISSUED
    note_links_read(session, "gift list", batch.environment, batch.name)
    formats.show(session.output, _batch_view(listed, wanted, batch))
    if listed.has_more and listed.last is not None:
        cursor = str(skipped + listed.count)
        session.console.next_page(cursor, f"There are more: add --after {cursor}, or leave out --limit.")
    elif wanted == EVERY_GIFT and not skipped and not tally.any(*UNFINISHED):
        ledger.mark_shown(batch, session.clock.now())


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
        csv_header=CSV_HEADER,
        csv_cells=lambda: (gift.cells() for gift in listed),
        links=lambda: (gift.row.payout_url for gift in listed if gift.row.payout_url),
        gifts=lambda: (gift.line for gift in listed),
    )


def _batch_view(listed: Iterable[FoundGift], wanted: GiftFilter, batch: Batch) -> View:
    return View(
        entries=lambda: (gift.document() for gift in listed),
        table=lambda width: gift_table(_for_table(listed, wanted), width, empty_message="No gift of it matches."),
        csv_header=(*COLUMNS, *carried_headings(batch.columns)),
        csv_cells=lambda: (gift.row.cells() for gift in listed),
        links=lambda: (gift.row.payout_url for gift in listed if gift.row.payout_url),
        gifts=lambda: (gift.line for gift in listed),
        dialect=batch.dialect,
    )


def _for_table(listed: Iterable[FoundGift], wanted: GiftFilter) -> Iterator[Listed]:
    """Yield gifts as the table shows them, with the carried cells by which they were found."""
    for gift in listed:
        beside = [cell for cell in gift.row.carried if any(word in search_key(cell) for word in wanted.words)]
        yield Listed(gift.row, gift.batch, gift.created_at, beside)


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
