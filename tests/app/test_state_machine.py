"""Whatever is asked for, goes wrong and is asked for again, in any order: never twice, never lost, and the truth told.

Hypothesis invents a story of commands, faults, kills, full disks, second processes and days that pass, and holds what
the program says and has recorded against the emulator's books after every step. The tests tell a fixed set of stories;
`python -m tests.stories` as many as wanted, and new ones each time.
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
from tests.support.simulation import FAIR, REVOKED, SECRET, Desk, Gift, Weather, gifts_of

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
def weather_of(draw: st.DrawFn, kinds: Sequence[str]) -> Weather:
    """Draw the weather of one run: first its kind, for else most of it would be storms."""
    match draw(st.sampled_from(kinds)):
        case "storm":
            return Weather(tuple(draw(st.lists(faults, min_size=1, max_size=2))))
        case "lost":  # for good, or for as long as one order is sent again and again
            return Weather((draw(st.sampled_from(["lost-after@*", "lost-after@1-5"])),))
        case "foreign":
            return Weather(("foreign-order@1",))
        case "kill":
            return Weather(tuple(draw(st.lists(faults, max_size=1))), killed_at=draw(points))
        case "ctrl-c":
            return Weather(interrupted_at=draw(busy))
        case "full disk":
            return Weather(room=draw(st.integers(0, 40)) << 10)
        case "shut":
            return draw(st.sampled_from([Weather(reachable=False), Weather(key_works=False), Weather(funds=False)]))
        case _:
            return FAIR


weathers = weather_of(["fair", "storm", "lost", "foreign", "kill", "kill", "ctrl-c", "ctrl-c", "full disk", "shut"])
choices = st.integers(0, 11)  # of whatever there is: what may be drawn must not depend on how a race went
times = st.sampled_from([timedelta(minutes=1), timedelta(minutes=11), timedelta(days=2), timedelta(days=29),
                         timedelta(days=31)])  # fmt: skip
# What is beyond a day, Runa's 30 days of memory and our 29 do not cover.
skews = st.sampled_from([timedelta(0), timedelta(hours=-20), timedelta(hours=-1), timedelta(hours=20)])


@dataclass(frozen=True)
class Command:
    """A create, as it is typed."""

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
        typed = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
        typed += ["--again"] if self.again else []
        typed += [] if self.wait else ["--no-wait"]
        return ("order", "create", "--no-preflight", *typed)

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
class Wish:
    """What somebody wants to happen once, however often it takes a command; and the batch it became."""

    command: Command
    batch_id: int

    @property
    def gifts(self) -> tuple[Gift, ...]:
        return self.command.gifts


@dataclass(frozen=True)
class Books:
    """What there was before a command."""

    batches: set[int]
    posts: int
    spent: Decimal


class Issue(RuleBasedStateMachine):
    """One person, one ledger, one account."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.desk = Desk(Path(self._directory.name))
        self.wishes: list[Wish] = []
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
            self.desk.close()
            self._directory.cleanup()

    # --- what a person does --------------------------------------------------------------------------------------

    @rule(
        address=addresses,
        product=products,
        again=st.booleans(),
        cap=st.sampled_from([None, None, "9.99", "26"]),
        key=st.sampled_from([None, None, None, "invoice-1", "invoice-2"]),
        weather=weathers,
    )
    def order_a_gift(
        self, address: str, product: tuple[str, str], again: bool, cap: str | None, key: str | None, weather: Weather
    ) -> None:
        gift = Gift(address, product[1], product[0], None)
        self.create(Command("flags", (gift,), key=key, again=again, cap=Decimal(cap) if cap else None), weather)

    @rule(
        name=st.sampled_from(["spring", "summer", "autumn", None]),
        gifts=st.lists(rows, min_size=1, max_size=6),
        wait=st.sampled_from([True, True, False]),
        concurrency=st.sampled_from([1, 1, 3]),
        weather=weathers,
    )
    def issue_a_file(self, name: str | None, gifts: list[Gift], wait: bool, concurrency: int, weather: Weather) -> None:
        self.create(Command("file", tuple(gifts), name, wait=wait, concurrency=concurrency), weather)

    @rule(which=choices, again=st.sampled_from([False, False, True]), weather=weathers)
    def run_the_same_command_again(self, which: int, again: bool, weather: Weather) -> None:
        for wish in self.one_of(self.wishes, which):
            self.create(replace(wish.command, again=again, cap=None), weather)

    @rule(which=choices, change=st.sampled_from(["add", "change", "remove"]), row=choices, gift=rows, weather=weathers)
    def edit_a_file(self, which: int, change: str, row: int, gift: Gift, weather: Weather) -> None:
        for wish in self.one_of(self.files(), which):
            self.create(self.edited(wish.command, change, row, gift), weather)

    @rule(weather=weathers)
    def mend_what_was_rejected(self, weather: Weather) -> None:
        bad = [wish for wish in self.files() if any(BAD[0] == gift.product for gift in wish.gifts)]
        for wish in bad[:1]:
            mended = tuple(gift._replace(value="25") if gift.product == BAD[0] else gift for gift in wish.gifts)
            self.create(replace(wish.command, gifts=mended), weather)

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
        weather=weather_of(["fair", "storm", "lost"]),
    )  # fmt: skip
    def two_processes_at_once(
        self,
        which: int | None,
        new: Command,
        point: str,
        edits: str | None,
        row: int,
        gift: Gift,
        weather: Weather,
    ) -> None:
        """While one process stands at some point, another one runs the same command, or one with an edited file."""
        old = [] if which is None else self.one_of(self.wishes, which)
        command = replace(old[0].command if old else new, again=False, cap=None)
        other = self.edited(command, edits, row, gift) if edits and command.name else command
        self.run_both(command, other, point, weather)

    @rule(which=choices, weather=weathers)
    def resume(self, which: int, weather: Weather) -> None:
        for wish in self.one_of(self.wishes, which):
            self.sound = False
            batch, before = self.batch(wish), self.books()
            ran = self.desk.run("batch", "resume", batch.name, weather=weather)
            self.hold_against_the_books(ran, batch, before)

    @rule(which=choices)
    def abandon(self, which: int) -> None:
        for wish in self.one_of(self.doubtful(), which):
            self.sound = False
            ran = self.desk.run("batch", "abandon", self.batch(wish).name, "--yes")
            assert 0 == ran.code, ran.err

    @rule(time=times, skew=skews)
    def let_time_pass_and_set_the_clock(self, time: timedelta, skew: timedelta) -> None:
        self.desk.time.sleep(time.total_seconds())
        self.desk.skew = skew

    # --- what should come of it ----------------------------------------------------------------------------------

    def create(self, command: Command, weather: Weather) -> None:
        """Run a create, and hold what it does against what was wished for."""
        self.sound = False
        wish, refused = self.meant(command)
        untouchable = self.issued(wish) - Counter(command.gifts) if wish else Counter()
        before = self.books()
        ran = self.desk.run(*command.arguments(), weather=weather, stdin=command.stdin())
        if ran.code == 6:
            changed = ran.error["code"] == "batch_changed" and wish is not None and self.is_held(wish, command.gifts)
            self.check_refusal(ran, before, rightly=refused or changed)
            return
        assert not refused or self.has_no_say(ran), f"what was refused by right went through: {ran}"
        self.take_in([command], wish, before, complete=not self.has_no_say(ran))
        if wish and wish.gifts == command.gifts:
            assert not untouchable, f"issued gifts were edited away: {untouchable}"
        if batch := self.worked_on(wish, before):
            self.hold_against_the_books(ran, batch, before, command)

    def run_both(self, command: Command, other: Command, point: str, weather: Weather) -> None:
        """Run two creates of one wish, the second while the first stands at a point; whoever comes first is to win."""
        self.sound = False
        wish, refused = self.meant(command)
        before = self.books()
        first = self.desk.begin(*command.arguments(), weather=weather, stdin=command.stdin(), paused_at=point)
        rans = []
        if first.pauses():
            rans.append(self.desk.run_meanwhile(*other.arguments(), stdin=other.stdin()))
            self.check_the_claim(rans[0], point, refused=refused)
            first.go_on()
        rans.append(self.desk.end(first))
        if refused:
            for ran in rans:
                self.check_refusal(ran, before, rightly=ran.code == 6)
            return
        self.take_in([command, other], wish, before, complete=any(ran.code in {0, 5, 7, 8} for ran in rans))
        batch = self.worked_on(wish, before)
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

    def has_no_say(self, ran: Ran) -> bool:
        """Tell whether a run may have ended before anything was decided: killed, stopped, without a ledger or a key."""
        return ran.code in {KILLED, INTERRUPTED, 4}

    def check_refusal(self, ran: Ran, before: Books, *, rightly: bool) -> None:
        assert rightly, f"refused without a reason: {ran}"
        assert "not_issued" == ran.error["money"]
        assert before == self.books(), "refused, but after something was done"

    def is_held(self, wish: Wish, gifts: tuple[Gift, ...]) -> bool:
        """Tell whether an edited file lacks what a batch may have issued."""
        held = self.desk.recorded(wish.batch_id, State.SENT, State.ACCEPTED, State.COMPLETED)
        return bool(held - Counter(gifts))

    def take_in(self, commands: list[Command], wish: Wish | None, before: Books, *, complete: bool) -> None:
        """Make sure that a new wish became one new batch, and an old one none; and note what it asks for now."""
        new = set(self.desk.batch_ids()) - before.batches
        if wish is not None:
            assert not new, f"{wish.gifts} were issued as another batch, though they are wished for once"
        elif new:
            (batch_id,) = new
            wish = Wish(commands[0], batch_id)
            self.wishes.append(wish)
        else:
            assert not complete, "a new wish was taken for an old one"
            return
        recorded = next((command for command in commands if self.is_recorded(wish, command)), wish.command)
        wish.command = replace(recorded, name=wish.command.name, key=wish.command.key)

    def worked_on(self, wish: Wish | None, before: Books) -> Batch | None:
        """Return the batch that a command worked on."""
        new = set(self.desk.batch_ids()) - before.batches
        return self.batch(wish) if wish else self.desk.ledger.batch_by_id(next(iter(new))) if new else None

    def meant(self, command: Command) -> tuple[Wish | None, bool]:
        """Return the old wish that a create stands for, if any, and whether it is to be refused."""
        wish, refused = self.meant_once(command)
        return wish, refused or (command.cap is not None and command.total() > command.cap)

    def meant_once(self, command: Command) -> tuple[Wish | None, bool]:
        if command.key is not None:
            keyed = next((wish for wish in self.wishes if wish.command.key == command.key), None)
            if keyed is not None:
                return keyed, keyed.gifts != command.gifts
            same, refused = (None, False) if command.again else self.meant_by_content(command)
            return None, same is not None or refused
        if command.name is not None:
            return next((wish for wish in self.wishes if wish.command.name == command.name), None), False
        return self.meant_by_content(command)

    def meant_by_content(self, command: Command) -> tuple[Wish | None, bool]:
        for wish in reversed(self.wishes):
            if wish.gifts == command.gifts and wish.command.source == command.source:
                batch = self.batch(wish)
                tally = self.desk.ledger.tally(batch)
                if wish.command.key and {State.REJECTED} == {state for state in State if tally.orders[state]}:
                    continue  # the key is burnt
                if self.is_open(batch, tally, again=command.again):
                    return wish, False
                done = tally.any(State.ABANDONED) or command.source == "file" or self.is_recent(tally, minutes=10)
                if done and not command.again:
                    return None, True
        return None, not command.again and self.is_issued_in_another_file(command)

    def is_issued_in_another_file(self, command: Command) -> bool:
        held = (State.SENT, State.ACCEPTED, State.COMPLETED, State.FAILED, State.ABANDONED)
        files = [wish for wish in self.wishes if wish.command.source == "file"]
        issued = [self.desk.recorded(wish.batch_id, *held, shown=shown) for wish in files for shown in (True, False)]
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
        return tally.settled_at is not None and self.desk.now() - tally.settled_at < timedelta(minutes=minutes)

    def is_recorded(self, wish: Wish, command: Command) -> bool:
        """Tell whether the ledger has taken a command's content, which a kill may have prevented."""
        with command.plan() as plan:
            return self.batch(wish).fingerprint == plan.fingerprint()

    def issued(self, wish: Wish) -> Counter[Gift]:
        """Count what Runa was paid for in a batch, but for what was given up."""
        paid, state = self.desk.bank.paid(), State.ABANDONED
        keys = [order["idempotency_key"] for order in self.desk.purchases(wish.batch_id) if order["state"] != state]
        return Counter(gift for key in keys if key in paid for gift in gifts_of(paid[key]))

    # --- whether the program tells the truth ---------------------------------------------------------------------

    def hold_against_the_books(self, ran: Ran, batch: Batch, before: Books, command: Command | None = None) -> None:
        """Compare what a run says with what Runa was paid for."""
        spent = self.books().spent - before.spent
        assert command is None or command.cap is None or spent <= command.cap
        if ran.code == KILLED:
            return
        tally, bank = self.desk.ledger.tally(batch), self.desk.bank.paid()
        paid = [order for order in self.desk.purchases(batch.id) if order["idempotency_key"] in bank]
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
        own = {order["order_id"]: State(order["state"]) for order in self.desk.purchases(batch.id) if order["order_id"]}
        assert {order["id"] for order in shown} <= own.keys()
        completed = {order["id"] for order in shown if order["status"] == "COMPLETED"}
        recorded = {order_id for order_id, state in own.items() if state is State.COMPLETED}
        assert completed == recorded if last else completed <= recorded
        made = {order["id"]: _links(order) for order in self.desk.bank.paid().values()}
        assert all(made[order["id"]] == _links(order) for order in shown if order["status"] == "COMPLETED")

    # --- what must hold after every step -------------------------------------------------------------------------

    @invariant()
    def promises_are_kept(self) -> None:
        self.nothing_is_paid_twice()
        self.the_ledger_tells_the_truth()
        self.every_link_stands_beside_its_own_gift()
        self.sound = True

    def nothing_is_paid_twice(self) -> None:
        paid = Counter(gift for order in self.desk.bank.paid().values() for gift in gifts_of(order))
        wished: Counter[Gift] = Counter()
        for wish in self.wishes:
            # What was given up and then edited away may be wished for once more.
            wished += Counter(wish.gifts) + self.desk.recorded(wish.batch_id, State.ABANDONED, shown=False)
        assert paid <= wished, f"paid, but not wished for: {paid - wished}"

    def the_ledger_tells_the_truth(self) -> None:
        paid = self.desk.bank.paid()
        for order in self.desk.purchases():
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
            for order in self.desk.bank.paid().values()
            for item, gift in zip(order["items"], gifts_of(order), strict=True)
        }
        shown = [line for wish in self.wishes for line in self.desk.lines(self.batch(wish)) if line.payout_url]
        assert len(shown) == len({line.payout_url for line in shown}), "a link is shown twice"
        for line in shown:
            assert made[line.payout_url] == (line.order_id, line.email, Decimal(line.face_value))
        completed = {order["order_id"] for order in self.desk.purchases() if order["state"] == State.COMPLETED}
        assert {line.payout_url for line in shown} == {url for url, (ident, _, _) in made.items() if ident in completed}

    # --- the end of the story ------------------------------------------------------------------------------------

    def finish(self) -> None:
        """In fair weather, bring every batch to its end: what is left then has one order, or is known to have none."""
        self.desk.skew = timedelta(0)
        self.desk.time.sleep(self.rest.total_seconds())
        for _ in range(2):
            for wish in self.wishes:
                if self.desk.ledger.tally(self.batch(wish)).any(State.PREPARED, State.SENT, State.ACCEPTED):
                    self.desk.run("batch", "resume", self.batch(wish).name)
                    if wish.command.name is not None:
                        self.desk.run(*wish.command.arguments(), stdin=wish.command.stdin())
            # The second time the keys are too old to be sent again, and only a look at Runa can help.
            self.desk.time.sleep(timedelta(days=30).total_seconds())
        self.promises_are_kept()
        for wish in self.wishes:
            self.check_the_end(wish)
        for written in self.desk.everything_written():
            assert SECRET.encode() not in written
            assert f".{REVOKED}".encode() not in written

    def check_the_end(self, wish: Wish) -> None:
        batch, paid = self.batch(wish), self.desk.bank.paid()
        lines = self.desk.lines(batch)
        assert len(wish.gifts) == len(lines)
        by_key = {order["idempotency_key"]: State(order["state"]) for order in self.desk.purchases(batch.id)}
        assert not {State.PREPARED, State.ACCEPTED} & set(by_key.values())
        lost = [key for key, state in by_key.items() if state is State.SENT and key in paid]
        assert [] == lost, "paid orders that nobody finds"
        completed = self.desk.recorded(batch.id, State.COMPLETED)
        linked = Counter(
            (line.email, Decimal(line.face_value)) for line in lines if line.payout_url and line.status != "failed"
        )
        assert linked == Counter((gift.address, Decimal(gift.value)) for gift in completed.elements())
        assert completed == self.issued(wish)

    # --- helpers -------------------------------------------------------------------------------------------------

    def batch(self, wish: Wish) -> Batch:
        return self.desk.ledger.batch_by_id(wish.batch_id)

    def books(self) -> Books:
        paid = (Decimal(gift.value) for order in self.desk.bank.paid().values() for gift in gifts_of(order))
        return Books(set(self.desk.batch_ids()), self.desk.bank.posts, sum(paid, Decimal(0)))

    def files(self) -> list[Wish]:
        """Return the named batches, which can be edited."""
        return [wish for wish in self.wishes if wish.command.name is not None]

    def doubtful(self) -> list[Wish]:
        """Return what can be given up."""
        states = (State.SENT, State.PREPARED)
        return [wish for wish in self.wishes if self.desk.ledger.tally(self.batch(wish)).any(*states)]

    def one_of(self, wishes: list[Wish], which: int) -> list[Wish]:
        """Choose one, most likely the newest; none where there is none."""
        return [[*wishes, *wishes[-1:] * len(wishes)][which % (2 * len(wishes))]] if wishes else []

    def edited(self, command: Command, change: str, row: int, gift: Gift) -> Command:
        """Return the command with a file of which one row was added, changed or removed."""
        place = row % len(command.gifts)
        new = () if change == "remove" and len(command.gifts) > 1 else (gift,)
        rest = command.gifts[place:] if change == "add" else command.gifts[place + 1 :]
        return replace(command, gifts=(*command.gifts[:place], *new, *rest))


def _links(order: dict[str, Any]) -> dict[str, str]:
    """Return each link of an order with its address."""
    return {item["payout"]["url"]: item["distribution_method"]["email_address"] for item in order["items"]}


def telling(stories: int, steps: int, *, new: bool = False) -> settings:
    """Return how many stories are told, of how many steps at most, and whether they are new ones each time."""
    return settings(
        derandomize=not new,
        database=None,
        max_examples=stories,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


TestIssue = Issue.TestCase
TestIssue.settings = telling(20, 15)


class IssueAtLength(Issue):
    """The same, with more stories, and longer ones."""


TestIssueAtLength = pytest.mark.slow(IssueAtLength.TestCase)
TestIssueAtLength.settings = telling(100, 15)
