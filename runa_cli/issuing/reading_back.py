"""Reads back from Runa the orders that a ledger lost: restored from a backup, replaced, or made anew.

Runa's list has no metadata, so every order that the ledger does not know is fetched for its stamp. An order that the
ledger recorded before it was lost settles as if Runa had just answered; one that it never heard of is recorded as Runa
shows it, in the batch that its stamp names (developer.runa.io: reference/2024-02-05/endpoint/orders/list). What was
read is remembered in the ledger, so that a check that was stopped goes on where it was.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from msgspec.structs import replace

from runa_cli.api import binding, canonical, responses
from runa_cli.api.classify import Answered, Uncertain
from runa_cli.api.client import Client
from runa_cli.api.retry import poll_wait
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import Unreachable
from runa_cli.core.states import State
from runa_cli.issuing.adopted_orders import as_shown
from runa_cli.issuing.adoption import GENERATIONS
from runa_cli.issuing.answer_recorder import AnswerRecorder
from runa_cli.issuing.batch_lookup import found_order
from runa_cli.issuing.failures import busy
from runa_cli.issuing.lost_orders import FoundBatch
from runa_cli.issuing.new_orders import is_made_up, made_up_name, mark_of
from runa_cli.issuing.order_pages import OLD_PAGES, is_before, order_pages
from runa_cli.issuing.parallel_reads import read_each
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Exchange, NewBatch, Order
from runa_cli.ledger.restoration import ADOPTED, SETTLED, Missing, PassedOver

UNSTAMPED, OTHERS, NOTHING_ISSUED, UNREADABLE = "unstamped", "another ledger's", "nothing issued", "unreadable"
IN_DOUBT = frozenset({UNSTAMPED, UNREADABLE})  # whether they were issued from this ledger cannot be told
_NOTED_AT_ONCE = 50  # orders that were passed over and are read again where a check is killed


@dataclass(eq=False, repr=False)
class ReadBack:
    """Reads what is missing of one account. `seconds` limits each request, and the wait for an order to settle.

    `progress` is told how many of how many orders are read. `batches` has what was recorded, by name; `unsettled` the
    orders of which Runa does not show yet whose they are; `repeated` the orders that bear the stamp of another one.
    """

    ledger: Ledger
    client: Client
    environment: str
    account: str
    missing: Missing
    seconds: float
    progress: Callable[[int, int], None]
    clock: Clock = REAL
    batches: dict[str, FoundBatch] = field(default_factory=dict)
    unsettled: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    read: int = 0
    _generations: dict[int, dict[str, tuple[int, int]]] = field(default_factory=dict)
    _to_note: list[PassedOver] = field(default_factory=list)
    _tried: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Take up what an earlier check has read."""
        self.passed = self.ledger.passed_over(self.environment, self.account)
        for how, order, batch in self.ledger.recorded_by_check(self.environment, self.account):
            self._found(batch).count(order, how)

    @property
    def in_doubt(self) -> list[PassedOver]:
        """The orders of which it cannot be told whether they were issued from this ledger."""
        return [order for order in self.passed.values() if order.reason in IN_DOUBT]

    def run(self) -> None:
        """Read until the list holds nothing that is not known. What was read stays known where this raises.

        Raises Unreachable, CredentialRefused or RequestRefused, and BatchBusy.
        """
        if self.environment == "live":
            self._check_account()
        try:
            while unread := self._unread():
                self._read_all(unread, self._take)
        finally:
            self._note()

    def _check_account(self) -> None:
        """Check that Runa shows what the ledger knows of this account. Raises Unreachable.

        Else this is not where it was issued, and that nothing is missing there would prove nothing.
        """
        for order_id in self.ledger.newest_of_account(self.environment, self.account, 1):
            answer = self.client.fetch_order(order_id, seconds=self.seconds)
            if not isinstance(answer, Answered) or answer.order.id != order_id:
                raise Unreachable(
                    f"Runa does not show order {order_id}, which was issued from this ledger with this key.",
                    "Check the key and RUNA_BASE_URL.",
                    code="not_shown",
                )

    def adopt_in_doubt(self) -> None:
        """Record the orders that are in doubt, in a batch of their own, so that their gifts are not issued again."""
        ids = [order.order_id for order in self.in_doubt if order.reason == UNSTAMPED]
        name = made_up_name(self.clock, self.ledger.id)
        self._read_all(ids, lambda answer: self._adopt(answer, name))

    # --- Runa's list ---------------------------------------------------------------------------------------------

    def _unread(self) -> list[str]:
        """Return the ids of the orders that are not known yet, in the reverse order of the list: oldest first."""
        ids: dict[str, None] = {}
        times: list[datetime] = []
        old = 0
        for page, _ in order_pages(self.client, lambda: self.seconds):
            recent = [entry for entry in page if not (self.missing.since and is_before(entry, self.missing.since))]
            ids |= {str(entry["id"]): None for entry in recent if not self._is_known(str(entry["id"]))}
            times += [time for entry in page if (time := responses.parse_time(entry.get("created_at")))]
            old = 0 if recent else old + 1
            # Runa documents no order for its list: it is read to its end unless it has kept to one.
            if old >= OLD_PAGES and all(later >= earlier for later, earlier in pairwise(times)):
                break
        return [*reversed(ids)]

    def _is_known(self, order_id: str) -> bool:
        return order_id in self._tried or order_id in self.passed or self.ledger.has_order(self.environment, order_id)

    # --- single orders -------------------------------------------------------------------------------------------

    def _read_all(self, order_ids: Sequence[str], take: Callable[[Answered], None]) -> None:
        self._tried.update(order_ids)
        self.progress(0, len(order_ids))
        answers = zip(order_ids, read_each(order_ids, self._fetch), strict=True)
        for done, (order_id, answer) in enumerate(answers, start=1):
            if answer is None:
                self.unsettled.append(order_id)
            else:
                take(answer)
                self.read += 1
            self.progress(done, len(order_ids))

    def _fetch(self, order_id: str) -> Answered | None:
        """Return an order once it has settled, for until then Runa may not show whose it is; None where it does not."""
        started, poll = self.clock.seconds(), 0
        while True:
            answer = self.client.read_order(order_id, seconds=self.seconds)
            is_shown = answer.order.status == "FAILED" or binding.has_links(answer.order)
            if answer.order.status != "PROCESSING" and is_shown:
                return answer
            poll += 1
            pause = poll_wait(poll)
            if self.clock.seconds() - started + pause >= self.seconds:
                return None
            self.clock.sleep(pause)

    def _take(self, answer: Answered) -> None:
        """Record an order, or note why it is not recorded."""
        order = answer.order
        own = self.ledger.order_by_key(self.environment, order.stamp) if order.stamp else None
        if own is None:
            own = self._next_generation(order)
        if own is not None and (own.order_id is None or own.state is State.ACCEPTED):
            self._settle(own, answer)
        elif order.stamp is None and order.batch_stamp is None:
            self._pass_over(answer, NOTHING_ISSUED if order.status == "FAILED" else UNSTAMPED)
        elif order.status == "FAILED" and not order.items:
            self._pass_over(answer, NOTHING_ISSUED)
        elif self._is_anothers(order.batch_stamp):
            self._pass_over(answer, OTHERS)
        else:
            if own is not None:
                self.repeated.append(order.id)
            self._adopt(answer, order.batch_stamp or made_up_name(self.clock, self.ledger.id), stamped=own is None)

    def _is_anothers(self, name: str | None) -> bool:
        """Tell whether another ledger has made up the name of a batch."""
        mark = mark_of(name) if name else None
        return mark is not None and self.missing.own_names not in {None, mark}

    def _settle(self, own: Order, answer: Answered) -> None:
        """Record what became of an order that the ledger holds. Its gifts are known, with their labels."""
        batch = self.ledger.batch_by_id(own.batch_id)
        recorder = AnswerRecorder(self.ledger, batch, lambda _: None, same_clock=False, clock=self.clock)
        recorded = recorder.record(own, answer)
        if isinstance(recorded, Uncertain):
            self._pass_over(answer, UNREADABLE)
        else:
            self.ledger.pass_over(self.environment, self.account, [PassedOver(answer.order.id, SETTLED)])
            self._found(batch).count(recorded, SETTLED)

    def _next_generation(self, order: responses.Order) -> Order | None:
        """Record the order of a later generation than the ledger knows: Runa rejected the one that is recorded."""
        batch = self.ledger.batch(self.environment, order.batch_stamp) if order.batch_stamp else None
        if batch is None or order.stamp is None:
            return None
        if batch.id not in self._generations:
            self._generations[batch.id] = self._later_keys(batch)
        if order.stamp not in self._generations[batch.id]:
            return None
        row, generation = self._generations[batch.id].pop(order.stamp)
        rejected = self.ledger.order(row)
        with self._claimed(batch):
            now = self.clock.now()
            if rejected.state is not State.REJECTED:
                text = "Runa has rejected it, for it was sent again under the next key"
                rejected = self.ledger.mark_rejected(rejected, b"", Exchange(error_text=text), now)
            later = replace(
                rejected.as_new(),
                generation=generation,
                idempotency_key=order.stamp,
                own_key=False,
                body=canonical.with_stamp(rejected.body, order.stamp),
            )
            return self.ledger.renew(rejected, later, now)

    def _later_keys(self, batch: Batch) -> dict[str, tuple[int, int]]:
        """Return the keys of the next generations of a batch's orders: each with the order's row, and its number."""
        return {
            canonical.derive_key(
                batch.environment, batch.name, order.position, generation, order.body_sha256
            ): (order.id, generation)
            for order in self.ledger.orders(batch, [State.PREPARED, State.SENT, State.REJECTED])
            if order.is_intact
            for generation in range(order.generation + 1, order.generation + GENERATIONS)
        }  # fmt: skip

    def _adopt(self, answer: Answered, name: str, *, stamped: bool = True) -> None:
        """Record an order that the ledger never heard of, as Runa shows it."""
        found = found_order(answer)
        try:
            own_key = found.batch_stamp is None and found.stamp is not None
            order = as_shown(found if stamped else found._replace(stamp=None), self.account, own_key=own_key)
        except Unreachable:  # an item of it cannot be read
            self._pass_over(answer, UNREADABLE)
            return
        batch = self.ledger.batch(self.environment, name)
        if batch is not None:
            with self._claimed(batch):
                self.ledger.add_read_back(batch, order, self.clock.now())
        else:
            described = answer.reply.document.get("description")
            named = found.batch_stamp is not None and (not is_made_up(name) or described == name)
            self.ledger.add_read_back(self._new_batch(name, named=named), order, self.clock.now())
            batch = self.ledger.batch(self.environment, name)
        if batch is not None:
            self._found(batch).count(order, ADOPTED)

    def _new_batch(self, name: str, *, named: bool) -> NewBatch:
        return NewBatch(
            environment=self.environment,
            name=name,
            named=named,
            source="file",  # which is guarded more strictly than flags
            shape="list",
            fingerprint="",
            account=self.account,
            columns=(),
        )

    @contextmanager
    def _claimed(self, batch: Batch) -> Iterator[None]:
        if not self.ledger.claim(batch):
            raise busy(self.ledger, batch, "The check has stopped there.", "Wait until it has ended, and check again.")
        try:
            yield
        finally:
            self.ledger.release(batch)

    def _found(self, batch: Batch) -> FoundBatch:
        return self.batches.setdefault(batch.name, FoundBatch(batch.name, batch.named))

    def _pass_over(self, answer: Answered, reason: str) -> None:
        document = answer.reply.document
        items = document.get("items")
        passed = PassedOver(
            answer.order.id,
            reason,
            len(items) if isinstance(items, list) else 0,
            str(document.get("currency") or ""),
            answer.order.total_price or Decimal(0),
        )
        self.passed[passed.order_id] = passed
        self._to_note.append(passed)
        if len(self._to_note) >= _NOTED_AT_ONCE:
            self._note()

    def _note(self) -> None:
        if self._to_note:
            self.ledger.pass_over(self.environment, self.account, self._to_note)
            self._to_note.clear()
