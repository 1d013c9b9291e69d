"""Commands, faults and repetitions in any order: nothing is paid twice, no link is lost, and every answer is true.

Hypothesis makes up stories of commands, faults, kills, full disks, second processes and days that pass. After every
step, what the program says and has recorded is compared with the orders of the emulator. The tests run a fixed set of
stories; `python -m tests.stories` runs as many as wanted, new ones each time.
"""

# ruff: noqa: D102, PLR0917 - the name of a rule says what it does, and Hypothesis names its arguments
import csv
import io
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runa_cli.core.states import State
from runa_cli.input import reader
from runa_cli.input.plan import Plan
from runa_cli.input.request import OrderInput
from runa_cli.ledger.records import Batch, Tally
from tests.support.ran import Ran
from tests.support.simulation import NORMAL, REVOKED, SECRET, Conditions, Gift, Simulation, gifts_of

MEMORY = Path("/dev/shm")  # nothing here has to outlive the machine, and a disk takes its time to be sure
UNFINISHED = (State.PREPARED, State.SENT, State.ACCEPTED, State.REJECTED)
KILLED, INTERRUPTED = -9, 130
GOOD, BAD = ("AMZ-US", "10"), ("800PET-US", "26")  # the second product exists for 25 and 50 alone
ORDER_FAULTS = (
    "lost-before", "lost-after", "cut-length", "cut-close", "unreadable", "102", "in-progress", "429",
    "429-retry-after", "stored-5xx", "stored-5xx-made", "transient-5xx", "503-html", "foreign-order", "shuffled",
    "respelled", "failed", "failed-bare", "redirect",
)  # fmt: skip
READ_FAULTS = ("get-500", "get-429", "get-lost", "get-404")
# Between any two of these the program may be killed, or another one may come.
POINTS = (
    "Ledger.record", "Ledger.amend", "Ledger.renew", "Claims.take", "Ledger.mark_sent", "Ledger.mark_unsent",
    "Ledger.note", "Client.create_order", "Ledger.mark_accepted", "Client.fetch_order", "Ledger.mark_doubted",
    "Ledger.mark_completed", "Ledger.mark_failed", "Ledger.mark_rejected", "show_batch", "Ledger.mark_shown",
)  # fmt: skip

addresses = st.sampled_from(["ann@example.com", "bob@example.com", "cat@example.com"])
products = st.sampled_from([GOOD, GOOD, GOOD, ("AMZ-US", "20"), BAD])
parts = st.sampled_from(["part 1", "part 1", "part 2", "part 3"])
rows = st.builds(lambda address, product, part: Gift(address, product[1], product[0], part), addresses, products, parts)
faults = st.builds(
    "{}@{}".format, st.sampled_from([*ORDER_FAULTS, *READ_FAULTS]), st.sampled_from(["1", "1-2", "1-5", "2", "*", "*"])
)
points = st.builds(
    "{}:{}:{}".format, st.sampled_from(["call", "return"]), st.sampled_from(POINTS), st.sampled_from([1, 1, 1, 2])
)

BUSY = ("Ledger.mark_sent", "Client.create_order", "Ledger.mark_completed", "show_batch")  # where Ctrl-C comes
busy = st.builds("{}:{}".format, st.sampled_from(["call", "return"]), st.sampled_from(BUSY))


@st.composite
def conditions_of(draw: st.DrawFn, kinds: Sequence[str]) -> Conditions:
    """Draw the conditions of one run; the kind first, for otherwise nearly every run would meet faults."""
    match draw(st.sampled_from(kinds)):
        case "faults":
            return Conditions(tuple(draw(st.lists(faults, min_size=1, max_size=2))))
        case "lost":  # for good, or for as long as one order is sent again and again
            return Conditions((draw(st.sampled_from(["lost-after@*", "lost-after@1-5"])),))
        case "foreign":
            return Conditions(("foreign-order@1",))
        case "kill":
            return Conditions(tuple(draw(st.lists(faults, max_size=1))), killed_at=draw(points))
        case "ctrl-c":
            return Conditions(interrupted_at=draw(busy))
        case "full disk":
            return Conditions(room=draw(st.integers(0, 40)) << 10)
        case "unusable":
            return draw(
                st.sampled_from([Conditions(reachable=False), Conditions(key_works=False), Conditions(funds=False)])
            )
        case _:
            return NORMAL


any_conditions = conditions_of(
    ["normal", "faults", "lost", "foreign", "kill", "kill", "ctrl-c", "ctrl-c", "full disk", "unusable"]
)
choices = st.integers(0, 11)  # of whatever there is: what may be drawn must not depend on how a race went
times = st.sampled_from([timedelta(minutes=1), timedelta(minutes=11), timedelta(days=2), timedelta(days=29),
                         timedelta(days=31)])  # fmt: skip
# What is beyond a day, Runa's 30 days of memory and our 29 do not cover.
skews = st.sampled_from([timedelta(0), timedelta(hours=-20), timedelta(hours=-1), timedelta(hours=20)])


@dataclass(frozen=True)
class Command:
    """One `order create`."""

    source: str
    gifts: tuple[Gift, ...]
    name: str | None = None
    key: str | None = None
    again: bool = False
    cap: Decimal | None = None
    wait: bool = True
    concurrency: int = 1

    def arguments(self) -> tuple[str, ...]:
        """Return its command line."""
        flags: dict[str, object] = {
            "--batch": self.name, "--idempotency-key": self.key, "--max-total": self.cap,
            "--concurrency": self.concurrency,
        }  # fmt: skip
        if self.source == "flags":
            (gift,) = self.gifts
            flags |= {"--face-value": gift.value, "--email": gift.address, "--product": gift.product}
        else:
            flags |= {"--file": "-", "--format": "csv"}
        words = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
        words += ["--again"] if self.again else []
        words += [] if self.wait else ["--no-wait"]
        return ("order", "create", "--no-preflight", *words)

    def stdin(self) -> str:
        """Return the file that it reads."""
        text = io.StringIO()
        if self.source == "file":
            writer = csv.writer(text)
            writer.writerow(["email", "face_value", "product", "description"])
            writer.writerows(self.gifts)
        return text.getvalue()

    def plan(self) -> Plan:
        """Return what the program makes of it."""
        if self.source == "flags":
            (gift,) = self.gifts
            return reader.from_flags(
                OrderInput(face_value=gift.value, emails=(gift.address,), products=(gift.product,))
            )
        return reader.from_file(OrderInput(file_format="csv"), io.BytesIO(self.stdin().encode()))

    def total(self) -> Decimal:
        """Return what it costs."""
        return sum((Decimal(gift.value) for gift in self.gifts), Decimal(0))


@dataclass
class Intent:
    """What somebody wants to happen once, however often it takes a command; and the batch it became."""

    command: Command
    batch_id: int

    @property
    def gifts(self) -> tuple[Gift, ...]:
        return self.command.gifts


@dataclass(frozen=True)
class Snapshot:
    """What there was before a command."""

    batches: set[int]
    posts: int
    spent: Decimal


class Issue(RuleBasedStateMachine):
    """One person, one ledger, one account."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.sim = Simulation(Path(self._directory.name))
        self.intents: list[Intent] = []
        self.sound = True  # false while a rule runs, and for ever after one has failed
        self.rest = timedelta(0)

    @initialize(rest=st.sampled_from([timedelta(0), timedelta(days=31)]))
    def begin(self, rest: timedelta) -> None:
        """Let nobody look after what is unfinished for that long, at the end of the story."""
        self.rest = rest

    def teardown(self) -> None:
        """Bring everything to its end, and close."""
        try:
            if self.sound:
                self.finish()
        finally:
            self.sim.close()
            self._directory.cleanup()

    # --- what a person does --------------------------------------------------------------------------------------

    @rule(
        address=addresses,
        product=products,
        again=st.booleans(),
        cap=st.sampled_from([None, None, "9.99", "26"]),
        key=st.sampled_from([None, None, None, "invoice-1", "invoice-2"]),
        conditions=any_conditions,
    )
    def order_a_gift(
        self,
        address: str,
        product: tuple[str, str],
        again: bool,
        cap: str | None,
        key: str | None,
        conditions: Conditions,
    ) -> None:
        gift = Gift(address, product[1], product[0], None)
        self.create(Command("flags", (gift,), key=key, again=again, cap=Decimal(cap) if cap else None), conditions)

    @rule(
        name=st.sampled_from(["spring", "summer", "autumn", None]),
        gifts=st.lists(rows, min_size=1, max_size=6),
        wait=st.sampled_from([True, True, False]),
        concurrency=st.sampled_from([1, 1, 3]),
        conditions=any_conditions,
    )
    def issue_a_file(
        self, name: str | None, gifts: list[Gift], wait: bool, concurrency: int, conditions: Conditions
    ) -> None:
        self.create(Command("file", tuple(gifts), name, wait=wait, concurrency=concurrency), conditions)

    @rule(which=choices, again=st.sampled_from([False, False, True]), conditions=any_conditions)
    def run_the_same_command_again(self, which: int, again: bool, conditions: Conditions) -> None:
        for intent in self.one_of(self.intents, which):
            self.create(replace(intent.command, again=again, cap=None), conditions)

    @rule(
        which=choices,
        change=st.sampled_from(["add", "change", "remove"]),
        row=choices,
        gift=rows,
        conditions=any_conditions,
    )
    def edit_a_file(self, which: int, change: str, row: int, gift: Gift, conditions: Conditions) -> None:
        for intent in self.one_of(self.files(), which):
            self.create(self.edited(intent.command, change, row, gift), conditions)

    @rule(conditions=any_conditions)
    def correct_what_was_rejected(self, conditions: Conditions) -> None:
        bad = [intent for intent in self.files() if any(BAD[0] == gift.product for gift in intent.gifts)]
        for intent in bad[:1]:
            corrected = tuple(gift._replace(value="25") if gift.product == BAD[0] else gift for gift in intent.gifts)
            self.create(replace(intent.command, gifts=corrected), conditions)

    @rule(
        which=st.one_of(st.none(), choices),
        new=st.builds(
            Command, st.just("file"), st.lists(rows, min_size=1, max_size=3).map(tuple),
            st.sampled_from(["spring", None]), concurrency=st.sampled_from([1, 3]),
        ),
        point=points,
        edits=st.sampled_from([None, None, "add", "remove"]),
        row=choices,
        gift=rows,
        conditions=conditions_of(["normal", "faults", "lost"]),
    )  # fmt: skip
    def two_processes_at_once(
        self,
        which: int | None,
        new: Command,
        point: str,
        edits: str | None,
        row: int,
        gift: Gift,
        conditions: Conditions,
    ) -> None:
        """While one process stands at some point, another one runs the same command, or one with an edited file."""
        old = [] if which is None else self.one_of(self.intents, which)
        command = replace(old[0].command if old else new, again=False, cap=None)
        other = self.edited(command, edits, row, gift) if edits and command.name else command
        self.run_both(command, other, point, conditions)

    @rule(which=choices, conditions=any_conditions)
    def resume(self, which: int, conditions: Conditions) -> None:
        for intent in self.one_of(self.intents, which):
            self.sound = False
            batch, before = self.batch(intent), self.snapshot()
            ran = self.sim.run("batch", "resume", batch.name, conditions=conditions)
            self.compare_with_the_emulator(ran, batch, before)

    @rule(which=choices)
    def abandon(self, which: int) -> None:
        for intent in self.one_of(self.of_unknown_outcome(), which):
            self.sound = False
            ran = self.sim.run("batch", "abandon", self.batch(intent).name, "--yes")
            assert 0 == ran.code, ran.err

    @rule(time=times, skew=skews)
    def let_time_pass_and_set_the_clock(self, time: timedelta, skew: timedelta) -> None:
        self.sim.time.sleep(time.total_seconds())
        self.sim.skew = skew

    # --- what should come of it ----------------------------------------------------------------------------------

    def create(self, command: Command, conditions: Conditions) -> None:
        """Run a create, and compare what it does with what was intended."""
        self.sound = False
        intent, refused = self.intent_of(command)
        untouchable = self.issued(intent) - Counter(command.gifts) if intent else Counter()
        before = self.snapshot()
        ran = self.sim.run(*command.arguments(), conditions=conditions, stdin=command.stdin())
        if ran.code == 6:
            changed = (
                ran.error["code"] == "batch_changed" and intent is not None and self.is_held(intent, command.gifts)
            )
            self.check_refusal(ran, before, rightly=refused or changed)
            return
        assert not refused or self.may_have_decided_nothing(ran), f"what was refused by right went through: {ran}"
        self.note_the_batch([command], intent, before, complete=not self.may_have_decided_nothing(ran))
        if intent and intent.gifts == command.gifts:
            assert not untouchable, f"issued gifts were edited away: {untouchable}"
        if batch := self.batch_worked_on(intent, before):
            self.compare_with_the_emulator(ran, batch, before, command)

    def run_both(self, command: Command, other: Command, point: str, conditions: Conditions) -> None:
        """Run two creates of one intent, the second while the first is paused at a point; one of them wins."""
        self.sound = False
        intent, refused = self.intent_of(command)
        before = self.snapshot()
        first = self.sim.begin(*command.arguments(), conditions=conditions, stdin=command.stdin(), paused_at=point)
        rans = []
        if first.pauses():
            rans.append(self.sim.run_meanwhile(*other.arguments(), stdin=other.stdin()))
            self.check_the_claim(rans[0], point, refused=refused)
            first.go_on()
        rans.append(self.sim.end(first))
        if refused:
            for ran in rans:
                self.check_refusal(ran, before, rightly=ran.code == 6)
            return
        self.note_the_batch([command, other], intent, before, complete=any(ran.code in {0, 5, 7, 8} for ran in rans))
        batch = self.batch_worked_on(intent, before)
        for ran in rans:
            assert ran.code in {0, 5, 6, 7, 8, 75}, ran
            if batch and ran.code not in {6, 75}:
                self.check_what_is_shown(ran, batch, last=ran is rans[-1])

    def check_the_claim(self, ran: Ran, point: str, *, refused: bool) -> None:
        """Make sure that nobody works on a batch while another one does, or is about to show what came of it."""
        event, name, _ = point.split(":")
        if name == "Ledger.record" or (event, name) == ("call", "Claims.take") or refused:
            return
        assert ran.code == 75 or (ran.code == 6 and (event, name) == ("return", "Ledger.mark_shown")), ran

    def may_have_decided_nothing(self, ran: Ran) -> bool:
        """Tell whether a run may have ended before anything was decided: killed, stopped, without a ledger or a key."""
        return ran.code in {KILLED, INTERRUPTED, 4}

    def check_refusal(self, ran: Ran, before: Snapshot, *, rightly: bool) -> None:
        assert rightly, f"refused without a reason: {ran}"
        assert "not_issued" == ran.error["money"]
        assert before == self.snapshot(), "refused, but after something was done"

    def is_held(self, intent: Intent, gifts: tuple[Gift, ...]) -> bool:
        """Tell whether an edited file lacks what a batch may have issued."""
        held = self.sim.recorded(intent.batch_id, State.SENT, State.ACCEPTED, State.COMPLETED)
        return bool(held - Counter(gifts))

    def note_the_batch(
        self, commands: list[Command], intent: Intent | None, before: Snapshot, *, complete: bool
    ) -> None:
        """Check that a new intent became one new batch, and an old one none; and note what it asks for now."""
        new = set(self.sim.batch_ids()) - before.batches
        if intent is not None:
            assert not new, f"{intent.gifts} were issued again as another batch"
        elif new:
            (batch_id,) = new
            intent = Intent(commands[0], batch_id)
            self.intents.append(intent)
        else:
            assert not complete, "a new intent was taken for an old one"
            return
        recorded = next((command for command in commands if self.is_recorded(intent, command)), intent.command)
        intent.command = replace(recorded, name=intent.command.name, key=intent.command.key)

    def batch_worked_on(self, intent: Intent | None, before: Snapshot) -> Batch | None:
        """Return the batch that a command worked on."""
        new = set(self.sim.batch_ids()) - before.batches
        return self.batch(intent) if intent else self.sim.ledger.batch_by_id(next(iter(new))) if new else None

    def intent_of(self, command: Command) -> tuple[Intent | None, bool]:
        """Return the old intent that a create stands for, if any, and whether it is to be refused."""
        intent, refused = self.intent_without_cap(command)
        return intent, refused or (command.cap is not None and command.total() > command.cap)

    def intent_without_cap(self, command: Command) -> tuple[Intent | None, bool]:
        if command.key is not None:
            keyed = next((intent for intent in self.intents if intent.command.key == command.key), None)
            if keyed is not None:
                return keyed, keyed.gifts != command.gifts
            same, refused = (None, False) if command.again else self.intent_by_content(command)
            return None, same is not None or refused
        if command.name is not None:
            return next((intent for intent in self.intents if intent.command.name == command.name), None), False
        return self.intent_by_content(command)

    def intent_by_content(self, command: Command) -> tuple[Intent | None, bool]:
        for intent in reversed(self.intents):
            if intent.gifts == command.gifts and intent.command.source == command.source:
                batch = self.batch(intent)
                tally = self.sim.ledger.tally(batch)
                if intent.command.key and {State.REJECTED} == {state for state in State if tally.orders[state]}:
                    continue  # a rejected key cannot be used again
                if self.is_open(batch, tally, again=command.again):
                    return intent, False
                done = tally.any(State.ABANDONED) or command.source == "file" or self.is_recent(tally, minutes=10)
                if done and not command.again:
                    return None, True
        return None, not command.again and self.is_issued_in_another_file(command)

    def is_issued_in_another_file(self, command: Command) -> bool:
        held = (State.SENT, State.ACCEPTED, State.COMPLETED, State.FAILED, State.ABANDONED)
        files = [intent for intent in self.intents if intent.command.source == "file"]
        issued = [self.sim.recorded(intent.batch_id, *held, shown=shown) for intent in files for shown in (True, False)]
        return any(gift in recorded for recorded in issued for gift in command.gifts)

    def is_open(self, batch: Batch, tally: Tally, *, again: bool) -> bool:
        """Tell whether somebody who asks for the same cannot know yet that it is done."""
        if again and batch.shown_at is not None:
            return tally.any(State.PREPARED, State.SENT, State.REJECTED)
        if tally.any(*UNFINISHED):
            return True
        unseen = batch.shown_at is None and tally.any(State.COMPLETED, State.FAILED)
        return unseen and (self.is_recent(tally, minutes=24 * 60) or (batch.source == "file" and not again))

    def is_recent(self, tally: Tally, *, minutes: int) -> bool:
        return tally.settled_at is not None and self.sim.now() - tally.settled_at < timedelta(minutes=minutes)

    def is_recorded(self, intent: Intent, command: Command) -> bool:
        """Tell whether the ledger has taken a command's content, which a kill may have prevented."""
        with command.plan() as plan:
            return self.batch(intent).fingerprint == plan.fingerprint()

    def issued(self, intent: Intent) -> Counter[Gift]:
        """Count what Runa was paid for in a batch, but for what was given up."""
        paid, state = self.sim.account.paid(), State.ABANDONED
        keys = [order["idempotency_key"] for order in self.sim.purchases(intent.batch_id) if order["state"] != state]
        return Counter(gift for key in keys if key in paid for gift in gifts_of(paid[key]))

    # --- whether the program tells the truth ---------------------------------------------------------------------

    def compare_with_the_emulator(
        self, ran: Ran, batch: Batch, before: Snapshot, command: Command | None = None
    ) -> None:
        """Compare what a run says with what Runa was paid for."""
        spent = self.snapshot().spent - before.spent
        assert command is None or command.cap is None or spent <= command.cap
        if ran.code == KILLED:
            return
        tally, account = self.sim.ledger.tally(batch), self.sim.account.paid()
        paid = [order for order in self.sim.purchases(batch.id) if order["idempotency_key"] in account]
        if ran.code == 0:
            waits = command is None or command.wait
            done = {State.COMPLETED} if waits else {State.COMPLETED, State.ACCEPTED}
            assert {state for state in State if tally.orders[state]} <= done
            assert sum(tally.orders.values()) == len(paid)
        else:
            self.check_the_error(ran, tally, len(paid), spent)
        self.check_what_is_shown(ran, batch)

    def check_the_error(self, ran: Ran, tally: Tally, paid: int, spent: Decimal) -> None:
        code, money = ran.code, ran.error["money"]
        assert code == ran.error["exit_code"]
        if money == "not_issued":
            assert code in {4, 5, 7, INTERRUPTED}, ran
            # Without a ledger, or before it looked there, a run can speak for itself alone.
            alone = ran.error["code"] in {"ledger_unusable", "interrupted"}
            assert not (spent if alone else paid), f"{ran}, but it was"
        elif money == "unknown":
            assert code in {7, INTERRUPTED}, ran
            assert code == INTERRUPTED or tally.any(State.SENT, State.ACCEPTED, State.ABANDONED)
        elif money == "partial":
            assert code in {8, INTERRUPTED}, ran
            assert tally.any(State.COMPLETED)
            assert paid
        else:
            assert (9, "issued") == (code, money), ran
            assert paid

    def check_what_is_shown(self, ran: Ran, batch: Batch, *, last: bool = True) -> None:
        """Make sure that each order shown is the batch's own, as Runa made it, and that the last run misses none."""
        if ran.code not in {0, 5, 7, 8}:
            return
        document = json.loads(ran.out) if ran.out else []
        shown = document if isinstance(document, list) else [document]
        own = {order["order_id"]: State(order["state"]) for order in self.sim.purchases(batch.id) if order["order_id"]}
        assert {order["id"] for order in shown} <= own.keys()
        completed = {order["id"] for order in shown if order["status"] == "COMPLETED"}
        recorded = {order_id for order_id, state in own.items() if state is State.COMPLETED}
        assert completed == recorded if last else completed <= recorded
        made = {order["id"]: _links(order) for order in self.sim.account.paid().values()}
        assert all(made[order["id"]] == _links(order) for order in shown if order["status"] == "COMPLETED")

    # --- what must hold after every step -------------------------------------------------------------------------

    @invariant()
    def promises_are_kept(self) -> None:
        self.nothing_is_paid_twice()
        self.the_ledger_tells_the_truth()
        self.every_link_stands_beside_its_own_gift()
        self.sound = True

    def nothing_is_paid_twice(self) -> None:
        paid = Counter(gift for order in self.sim.account.paid().values() for gift in gifts_of(order))
        intended: Counter[Gift] = Counter()
        for intent in self.intents:
            # What was abandoned and then removed from the file may be ordered once more.
            intended += Counter(intent.gifts) + self.sim.recorded(intent.batch_id, State.ABANDONED, shown=False)
        assert paid <= intended, f"paid, but not intended: {paid - intended}"

    def the_ledger_tells_the_truth(self) -> None:
        paid = self.sim.account.paid()
        for order in self.sim.purchases():
            made = paid.get(order["idempotency_key"])
            match State(order["state"]):
                case State.COMPLETED:
                    assert made, f"{order} was never paid"
                    assert made["id"] == order["order_id"]
                case State.PREPARED | State.REJECTED | State.FAILED:
                    assert not made, f"{order} was paid as {made}"

    def every_link_stands_beside_its_own_gift(self) -> None:
        made = {
            item["payout"]["url"]: (order["id"], gift.address, Decimal(gift.value))
            for order in self.sim.account.paid().values()
            for item, gift in zip(order["items"], gifts_of(order), strict=True)
        }
        shown = [line for intent in self.intents for line in self.sim.lines(self.batch(intent)) if line.payout_url]
        assert len(shown) == len({line.payout_url for line in shown}), "a link is shown twice"
        for line in shown:
            assert made[line.payout_url] == (line.order_id, line.email, Decimal(line.face_value))
        completed = {order["order_id"] for order in self.sim.purchases() if order["state"] == State.COMPLETED}
        assert {line.payout_url for line in shown} == {url for url, (ident, _, _) in made.items() if ident in completed}

    # --- the end of the story ------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Finish every batch without faults: what is left then has one order, or is known to have none."""
        self.sim.skew = timedelta(0)
        self.sim.time.sleep(self.rest.total_seconds())
        for _ in range(2):
            for intent in self.intents:
                if self.sim.ledger.tally(self.batch(intent)).any(State.PREPARED, State.SENT, State.ACCEPTED):
                    self.sim.run("batch", "resume", self.batch(intent).name)
                    if intent.command.name is not None:
                        self.sim.run(*intent.command.arguments(), stdin=intent.command.stdin())
            # The second time the keys are too old to be sent again, and only a look at Runa can help.
            self.sim.time.sleep(timedelta(days=30).total_seconds())
        self.promises_are_kept()
        for intent in self.intents:
            self.check_the_end(intent)
        for written in self.sim.everything_written():
            assert SECRET.encode() not in written
            assert f".{REVOKED}".encode() not in written

    def check_the_end(self, intent: Intent) -> None:
        batch, paid = self.batch(intent), self.sim.account.paid()
        lines = self.sim.lines(batch)
        assert len(intent.gifts) == len(lines)
        by_key = {order["idempotency_key"]: State(order["state"]) for order in self.sim.purchases(batch.id)}
        assert not {State.PREPARED, State.ACCEPTED} & set(by_key.values())
        lost = [key for key, state in by_key.items() if state is State.SENT and key in paid]
        assert [] == lost, "paid orders that nobody finds"
        completed = self.sim.recorded(batch.id, State.COMPLETED)
        linked = Counter(
            (line.email, Decimal(line.face_value)) for line in lines if line.payout_url and line.status != "failed"
        )
        assert linked == Counter((gift.address, Decimal(gift.value)) for gift in completed.elements())
        assert completed == self.issued(intent)

    # --- helpers -------------------------------------------------------------------------------------------------

    def batch(self, intent: Intent) -> Batch:
        return self.sim.ledger.batch_by_id(intent.batch_id)

    def snapshot(self) -> Snapshot:
        paid = (Decimal(gift.value) for order in self.sim.account.paid().values() for gift in gifts_of(order))
        return Snapshot(set(self.sim.batch_ids()), self.sim.account.posts, sum(paid, Decimal(0)))

    def files(self) -> list[Intent]:
        """Return the named batches, which can be edited."""
        return [intent for intent in self.intents if intent.command.name is not None]

    def of_unknown_outcome(self) -> list[Intent]:
        """Return what can be given up."""
        states = (State.SENT, State.PREPARED)
        return [intent for intent in self.intents if self.sim.ledger.tally(self.batch(intent)).any(*states)]

    def one_of(self, intents: list[Intent], which: int) -> list[Intent]:
        """Choose one, most likely the newest; none where there is none."""
        return [[*intents, *intents[-1:] * len(intents)][which % (2 * len(intents))]] if intents else []

    def edited(self, command: Command, change: str, row: int, gift: Gift) -> Command:
        """Return the command with a file of which one row was added, changed or removed."""
        place = row % len(command.gifts)
        new = () if change == "remove" and len(command.gifts) > 1 else (gift,)
        rest = command.gifts[place:] if change == "add" else command.gifts[place + 1 :]
        return replace(command, gifts=(*command.gifts[:place], *new, *rest))


def _links(order: dict[str, Any]) -> dict[str, str]:
    """Return each link of an order with its address."""
    return {item["payout"]["url"]: item["distribution_method"]["email_address"] for item in order["items"]}


def story_settings(stories: int, steps: int, *, new: bool = False) -> settings:
    """Return Hypothesis' settings: how many stories, of how many steps at most, and whether new ones each time."""
    return settings(
        derandomize=not new,
        database=None,
        max_examples=stories,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


TestIssue = Issue.TestCase
TestIssue.settings = story_settings(35, 15)


class IssueAtLength(Issue):
    """The same, with more stories, and longer ones."""


TestIssueAtLength = pytest.mark.slow(IssueAtLength.TestCase)
TestIssueAtLength.settings = story_settings(100, 15)
