"""Notes in the journal what the account holds before and after a run in live, for `runa audit` to compare.

Nothing depends on the notes: a balance that cannot be fetched is noted as not known, and a run goes on without them.
Elsewhere than in live every payment is accepted, so that a balance tells nothing.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from runa_cli.api import responses
from runa_cli.api.client import QUESTION_ATTEMPTS, Client
from runa_cli.core.clock import Clock
from runa_cli.core.errors import Interrupted, LedgerUnusable, RunaError
from runa_cli.core.states import UNFINISHED, State
from runa_cli.issuing.outcome import BatchRun
from runa_cli.ledger.events import balance_noted
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Tally

log = logging.getLogger("runa")

LIVE = "live"  # the only environment whose balances are real
LONGEST = 5.0  # seconds that are spent on balances for a note, before a run and after it


class Reading(Struct, frozen=True):
    """A balance as Runa told it, and when. `amount` is None where it could not be fetched."""

    amount: Decimal | None
    at: datetime


class Balances:
    """Fetches balances, and keeps what was fetched last of each currency."""

    def __init__(self, client: Client, clock: Clock) -> None:
        """`clock` tells when a balance was fetched."""
        self._client, self._clock = client, clock
        self.read: dict[str, Reading] = {}

    def fetch(self, currency: str, *, seconds: float, attempts: int = QUESTION_ATTEMPTS) -> Decimal:
        """Return the balance in a currency. Raises Unreadable, and what a request raises."""
        self.read[currency] = Reading(None, self._clock.now())
        document = self._client.document("/balance", {"currency": currency}, seconds=seconds, attempts=attempts)
        balance = responses.parse(responses.Balance, document)
        if balance.currency != currency:
            raise responses.Unreadable(f"it is about {balance.currency}, not {currency}")
        self.read[currency] = Reading(balance.balance, self._clock.now())
        return balance.balance


class BalanceNotes:
    """Notes the balances that one command pays from, before it sends and once all that it sent has settled.

    `before` takes what the preflight has fetched. It fetches the others only where several gifts are about to be sent:
    a single one would take noticeably longer, and the note after the run before it tells nearly the same.
    """

    def __init__(self, balances: Balances, ledger: Ledger, account: str, environment: str, clock: Clock) -> None:
        """`account` is the part of the API key that may be shown."""
        self._balances, self._ledger, self._clock = balances, ledger, clock
        self._account, self._environment = account, environment
        self._run = secrets.token_hex(8)
        self._currencies: set[str] = set()
        self._batch = ""
        self._left_open: set[int] = set()  # batches of which not all is settled

    def before(self, batch: Batch, tally: Tally) -> None:
        """Note the balances that a batch pays from, if any of it is about to be sent."""
        gifts = tally.items[State.PREPARED] + tally.items[State.SENT]
        if self._environment != LIVE or not gifts:
            return
        self._left_open.add(batch.id)
        try:
            new = sorted(self._ledger.paid_from(batch) - self._currencies)
        except LedgerUnusable:
            return  # then nothing is sent either, and the reason is told
        self._batch = batch.name
        self._currencies.update(new)
        if gifts > 1:
            self._fetch(each for each in new if each not in self._balances.read)
        self._note("before", [each for each in new if each in self._balances.read])

    def ran(self, run: BatchRun) -> None:
        """Take into account how a run over a batch has ended."""
        if not (run.interrupted or run.left_in_flight or run.tally.any(*UNFINISHED)):
            self._left_open.discard(run.batch.id)

    @contextmanager
    def after(self) -> Iterator[None]:
        """Note the balances after what the block has sent and shown, unless it was interrupted or left orders open."""
        try:
            yield
        except RunaError as error:
            if not isinstance(error, Interrupted):
                self._note_after()
            raise
        self._note_after()

    def _note_after(self) -> None:
        if self._currencies and not self._left_open:
            with suppress(KeyboardInterrupt):  # the run is over: whoever does not want to wait loses the note alone
                self._fetch(sorted(self._currencies))
                self._note("after", sorted(self._currencies))

    def _fetch(self, currencies: Iterable[str]) -> None:
        ends = self._clock.seconds() + LONGEST
        for currency in currencies:
            try:
                self._balances.fetch(currency, seconds=max(0.0, ends - self._clock.seconds()), attempts=1)
            except (RunaError, responses.Unreadable) as error:
                log.info("The %s balance could not be fetched: %s", currency, error)

    def _note(self, moment: str, currencies: list[str]) -> None:
        try:
            for currency in currencies:
                reading = self._balances.read[currency]
                self._ledger.add_event(
                    balance_noted(
                        environment=self._environment,
                        account=self._account,
                        currency=currency,
                        amount=None if reading.amount is None else f"{reading.amount:f}",
                        read_at=reading.at,
                        batch=self._batch,
                        moment=moment,
                        run=self._run,
                    )
                )
        except LedgerUnusable as error:
            log.info("The balance could not be noted: %s", error)
