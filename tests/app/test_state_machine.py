"""Whatever is asked for, goes wrong and is asked for again, in any order: never twice, never lost, and the truth told.

Hypothesis invents a story of commands, edits, faults, kills, full disks, lost servers, second processes, second
machines and days that pass, and compares what the program says and has recorded with the emulator's books after every
step. The tests tell a fixed set of stories; `python -m tests.stories` as many as wanted, and new ones each time.

The program's rules about duplicates are not repeated here. What is checked are its promises:

1. Never twice: an order is made at Runa only if nothing the ledger held of its gifts speaks against it, or a person
   said that it is meant (`--again`, a new name for completed gifts, a further equal row).
2. A refusal has a reason: a gift that is held elsewhere or missing, a cap, a name or a key; and it changed nothing.
3. Never lost: whatever was paid is found in the ledger, and fair weather finishes what no later duplicate blocks.
4. A link never appears beside another recipient than the one beside which it first appeared.
5. The exit code, the money of an error and what is shown agree with the books.
"""

# ruff: noqa: D102, PLR0917 - the name of a rule says what it does, and Hypothesis names its arguments
import csv
import io
import json
import re
import shlex
import tempfile
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runa_cli.core.states import State
from runa_cli.emulator import faults as emulator_faults
from runa_cli.ledger.records import Batch, Tally
from runa_cli.ledger.results import ResultRow
from tests.support.ledger_places import Trouble
from tests.support.ran import Ran
from tests.support.simulation import FAIR, INTERRUPTED, KILLED, REVOKED, SECRET, Desk, Held, Weather, told
from tests.support.story_server import StoryServer
from tests.support.typed import EDITS, Command, Gift, Meaning, Spelling, recipient, wire_meaning

MEMORY = Path("/dev/shm")  # nothing here has to outlive the machine, and a disk takes its time to be sure
HOLDING = frozenset({State.PREPARED, State.SENT, State.ACCEPTED, State.COMPLETED, State.ABANDONED})
GIVEN_UP = frozenset({State.FAILED, State.ABANDONED})
FLAGS_AGAIN = timedelta(minutes=9)  # ten in the program; its clock goes on while it runs
GOOD, BOTH, BAD = ("AMZ-US", "10"), ("AMZ-US|AIRBNB-US", "20"), ("800PET-US", "26")  # the last exists for 25 and 50
# Every fault that the emulator knows, new ones too, but for those that only take time.
# Without those that only take time, and those whose answers the emulator's own books contradict (an order that was made
# is called FAILED, an item is somebody else's or spelled otherwise): tests/app/test_echo.py and test_failed_orders.py.
CONTRADICTING = {"respelled", "unmatched", "failed-at-first", "get-failed"}
ORDER_FAULTS = tuple(name for name in emulator_faults.ORDER_FAULTS if name not in {"slow", "dribble"} | CONTRADICTING)
READ_FAULTS = tuple(name for name in emulator_faults.READ_FAULTS if name not in CONTRADICTING)
# Between any two of these the program may be killed, or another one may come.
POINTS = (
    "Batches.record", "Batches.adopt", "Batches.amend", "Batches.relabel", "Orders.renew", "Claims.take",
    "Orders.mark_sent", "Orders.mark_unsent", "Orders.note", "Client.create_order", "Orders.mark_accepted",
    "Client.fetch_order", "Orders.mark_doubted", "Orders.mark_completed", "Orders.mark_failed",
    "Orders.mark_rejected", "show_batch", "Batches.mark_shown",
)  # fmt: skip

people = st.sampled_from(["ann", "bob", "cat"])
products = st.sampled_from([GOOD, GOOD, GOOD, ("AMZ-US", "20"), BOTH, BAD])
parts = st.sampled_from(["part 1", "part 1", "part 2", "part 3"])
addressed = st.builds(
    lambda person, product, part, reference: Gift(f"{person}@example.com", product[1], product[0], part, reference),
    people, products, parts, st.sampled_from(["", "", "", "E1", "E2"]),
)  # fmt: skip
by_reference = st.builds(
    lambda person, product, part: Gift("", product[1], product[0], part, reference=person), people, products, parts
)
by_cells = st.builds(
    lambda person, product, part: Gift("", product[1], product[0], part, note=person), people, products, parts
)


def files(most: int) -> st.SearchStrategy[tuple[Gift, ...]]:
    """Return files of mailed gifts, and of payout links that are told apart by a reference or by a cell."""
    kinds = [addressed, addressed, by_reference, by_cells]
    return st.sampled_from(kinds).flatmap(lambda kind: st.lists(kind, min_size=1, max_size=most).map(tuple))


spellings = st.builds(Spelling, *[st.booleans()] * 5)
names = st.sampled_from(["spring", "summer", "autumn", "Spring", None, None])
edits = st.sampled_from(EDITS)
faults = st.builds(
    "{}@{}".format, st.sampled_from([*ORDER_FAULTS, *READ_FAULTS]), st.sampled_from(["1", "1-2", "1-5", "2", "*", "*"])
)
points = st.builds(
    "{}:{}:{}".format, st.sampled_from(["call", "return"]), st.sampled_from(POINTS), st.sampled_from([1, 1, 1, 2])
)
# Only for a kill: one that stands there keeps all others from writing.
commits = st.builds("{}:Engine.commit:{}".format, st.sampled_from(["call", "return"]), st.integers(1, 20))
troubles = st.builds(
    Trouble,
    room=st.integers(0, 40).map(lambda kilobytes: kilobytes << 10),
    when=st.sampled_from(["before", "after"]),
    first=st.integers(1, 12),
    cuts=st.sampled_from([1, 1, 1, 2, 3, 1000]),
)

BUSY = (
    "Orders.mark_sent",
    "Client.create_order",
    "Orders.mark_completed",
    "show_batch",
)  # where Ctrl-C comes
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
            return Weather(
                tuple(draw(st.lists(faults, max_size=1))), killed_at=draw(st.one_of(points, points, commits))
            )
        case "ctrl-c":
            return Weather(interrupted_at=draw(busy))
        case "trouble":
            return Weather(trouble=draw(troubles))
        case "shut":
            return draw(st.sampled_from([Weather(reachable=False), Weather(key_works=False), Weather(funds=False)]))
        case _:
            return FAIR


weathers = weather_of(["fair", "storm", "lost", "foreign", "kill", "kill", "ctrl-c", "ctrl-c", "trouble", "shut"])
choices = st.integers(0, 11)  # of whatever there is: what may be drawn must not depend on how a race went
times = st.sampled_from([timedelta(minutes=1), timedelta(minutes=11), timedelta(days=2), timedelta(days=29),
                         timedelta(days=31)])  # fmt: skip
# What is beyond a day, Runa's 30 days of memory and our 29 do not cover.
skews = st.sampled_from([timedelta(0), timedelta(hours=-20), timedelta(hours=-1), timedelta(hours=20)])


@dataclass
class Wish:
    """A batch, the command that says what is in it now, and the most that any command wanted of each gift."""

    command: Command
    batch_id: int
    name: str
    begun: datetime
    most: Counter[Meaning]
    edited: bool = False


@dataclass(frozen=True)
class Books:
    """What there was before a command."""

    batches: set[int]
    posts: int
    spent: Decimal
    made: set[str]
    held: list[Held]
    now: datetime

    def agree_with(self, other: "Books") -> bool:
        return (self.batches, self.posts, self.spent) == (other.batches, other.posts, other.spent)


@dataclass(frozen=True)
class Copy:
    """An older copy of the ledger, with the wishes that it knows."""

    ledger: Any
    wishes: list[Wish]


@dataclass
class Refusal:
    """A command that was refused, and the commands that the hint names."""

    command: Command
    ways_out: list[str] = field(default_factory=list)


def has_wish(story: "Issue") -> bool:
    """Tell whether anything was recorded, so that no step of a story is wasted."""
    return bool(story.wishes)


def has_file(story: "Issue") -> bool:
    """Tell whether a file was recorded."""
    return bool(story.files())


def has_refusal(story: "Issue") -> bool:
    """Tell whether a command was refused with a hint that names a command."""
    return bool(story.refusals)


def has_copy(story: "Issue") -> bool:
    return story.copy is not None


class Issue(RuleBasedStateMachine):
    """One person, one account, and a ledger that others may have too."""

    stories: StoryServer | None = None  # the server on which the ledger is; by default it is in a file

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.desk = Desk(Path(self._directory.name), self.stories)
        self.wishes: list[Wish] = []
        self.refusals: list[Refusal] = []
        self.beside: dict[str, str] = {}  # each link ever seen, with the recipient beside which it was
        self.elsewhere: set[str] = set()  # keys of orders that were made without this ledger
        self.copy: Copy | None = None
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
        person=st.sampled_from(["ann", "bob", "cat", ""]),
        product=products.filter(lambda product: "|" not in product[0]),
        again=st.booleans(),
        cap=st.sampled_from([None, None, "9.99", "26"]),
        key=st.sampled_from([None, None, None, "invoice-1", "invoice-2"]),
        weather=weathers,
    )
    def order_a_gift(
        self, person: str, product: tuple[str, str], again: bool, cap: str | None, key: str | None, weather: Weather
    ) -> None:
        gift = Gift(f"{person}@example.com" if person else "", product[1], product[0], None)
        self.create(Command("flags", (gift,), key=key, again=again, cap=Decimal(cap) if cap else None), weather)

    @rule(
        name=names,
        gifts=files(6),
        wait=st.sampled_from([True, True, False]),
        concurrency=st.sampled_from([1, 1, 3]),
        weather=weathers,
    )
    def issue_a_file(
        self, name: str | None, gifts: tuple[Gift, ...], wait: bool, concurrency: int, weather: Weather
    ) -> None:
        self.create(Command("file", gifts, name, wait=wait, concurrency=concurrency), weather)

    @precondition(has_wish)
    @rule(which=choices, again=st.sampled_from([False, False, True]), weather=weathers)
    def run_the_same_command_again(self, which: int, again: bool, weather: Weather) -> None:
        for wish in self.one_of(self.wishes, which):
            self.create(replace(wish.command, again=again, cap=None), weather)

    @precondition(has_wish)
    @rule(which=choices, spelling=spellings, weather=weathers)
    def spell_it_otherwise(self, which: int, spelling: Spelling, weather: Weather) -> None:
        for wish in self.one_of(self.wishes, which):
            told["move: spelled otherwise"] += 1
            self.create(replace(wish.command, spelling=spelling, again=False, cap=None), weather)

    @precondition(has_file)
    @rule(which=choices, change=edits, row=choices, gift=addressed, again=st.sampled_from([False, False, False, True]),
          weather=weathers)  # fmt: skip
    def edit_a_file(self, which: int, change: str, row: int, gift: Gift, again: bool, weather: Weather) -> None:
        """Change a file, which keeps its name, or has none and is a list that grows."""
        for wish in self.one_of(self.files(), which):
            told[f"move: {change}"] += 1
            self.create(replace(wish.command, again=again, cap=None).edited(change, row, gift), weather)

    @precondition(has_file)
    @rule(weather=weathers)
    def mend_what_was_rejected(self, weather: Weather) -> None:
        bad = [wish for wish in self.files() if any(BAD[0] == gift.product for gift in wish.command.gifts)]
        for wish in bad[:1]:
            gifts = wish.command.gifts
            mended = tuple(gift._replace(value="25") if gift.product == BAD[0] else gift for gift in gifts)
            self.create(replace(wish.command, gifts=mended, again=False), weather)

    @precondition(has_wish)
    @rule(
        which=choices,
        name=st.sampled_from(["march", "march", "spring"]),
        again=st.sampled_from([False, False, True]),
        weather=weathers,
    )
    def give_it_a_name(self, which: int, name: str, again: bool, weather: Weather) -> None:
        """Run a command once more under a name, most likely one whose outcome is unknown."""
        nameless = [wish for wish in self.wishes if wish.command.name is None and wish.command.key is None]
        unfinished = [wish for wish in nameless if self.tally(wish).any(State.PREPARED, State.SENT, State.ACCEPTED)]
        for wish in self.one_of(unfinished or nameless, which):
            told["move: named afterwards"] += 1
            self.create(replace(wish.command, name=name, again=again, cap=None), weather)

    @precondition(has_wish)
    @rule(which=choices, again=st.booleans(), weather=weathers)
    def leave_abandoned_rows_out_and_put_them_back(self, which: int, again: bool, weather: Weather) -> None:
        lost = [wish for wish in self.files() if wish.command.name and self.tally(wish).any(State.ABANDONED)]
        for wish in self.one_of(lost, which):
            told["move: abandoned rows put back"] += 1
            command = replace(wish.command, again=False, cap=None)
            held = self.desk.held()
            abandoned = {gift.meaning for gift in held if wish.batch_id == gift.batch_id and gift.state in GIVEN_UP}
            rest = tuple(gift for gift in command.gifts if gift.meaning not in abandoned)
            if rest:
                self.create(replace(command, gifts=rest), FAIR)
                self.promises_are_kept()
            self.create(replace(command, again=again), weather)

    @precondition(has_refusal)
    @rule(which=choices, weather=weathers)
    def follow_the_hint_of_a_refusal(self, which: int, weather: Weather) -> None:
        """Run what the hint of the last refusal names, to the letter."""
        for refusal in self.refusals[-1:]:
            way_out = shlex.split(refusal.ways_out[which % len(refusal.ways_out)])
            told[f"move: hint {' '.join(way_out[:3]) if way_out[0] == 'runa' else way_out[0]}"] += 1
            match way_out:
                case ["--batch", name]:
                    self.create(replace(refusal.command, name=name), weather)
                case ["runa", "batch", "resume", name]:
                    self.resume_batch(name, weather)
                case ["runa", *words]:
                    self.run(*words, *(["--yes"] if "abandon" in words else []))

    @rule(
        which=st.one_of(st.none(), choices),
        new=st.builds(
            Command, st.just("file"), files(3), st.sampled_from(["spring", None]), concurrency=st.sampled_from([1, 3])
        ),
        point=points,
        change=st.one_of(st.none(), edits),
        row=choices,
        gift=addressed,
        weather=weather_of(["fair", "storm", "lost"]),
    )
    def two_processes_at_once(
        self, which: int | None, new: Command, point: str, change: str | None, row: int, gift: Gift, weather: Weather
    ) -> None:
        """While one process stands at some point, another one runs the same command, or one with an edited file."""
        old = [] if which is None else self.one_of(self.wishes, which)
        command = replace(old[0].command if old else new, again=False, cap=None)
        is_editable = command.name and command.source == "file"
        other = command.edited(change, row, gift) if change and is_editable else command
        self.run_both(command, other, point, weather)

    @precondition(has_wish)
    @rule(which=choices, weather=weathers)
    def resume(self, which: int, weather: Weather) -> None:
        for wish in self.one_of(self.wishes, which):
            self.resume_batch(wish.name, weather)

    @precondition(has_wish)
    @rule(which=choices)
    def abandon(self, which: int) -> None:
        for wish in self.one_of(self.doubtful(), which):
            ran = self.run("batch", "abandon", wish.name, "--yes")
            assert 0 == ran.code, ran.err

    @precondition(has_wish)
    @rule(which=choices)
    def prune(self, which: int) -> None:
        for wish in self.one_of(self.wishes, which):
            told["move: pruned"] += 1
            self.run("batch", "prune", wish.name, "--older-than", "0", "--yes")

    @precondition(has_wish)
    @rule(which=choices, point=points)
    def prune_while_another_process_stands_still(self, which: int, point: str) -> None:
        for wish in self.one_of(self.wishes, which):
            told["move: pruned beside another"] += 1
            self.sound = False
            before, command = self.books(), replace(wish.command, again=False, cap=None)
            first = self.desk.begin(*command.arguments(), stdin=command.stdin(), paused_at=point)
            if first.pauses():
                self.desk.held()  # remembers what is in there
                self.desk.run_meanwhile("batch", "prune", "--older-than", "0", "--yes")
                first.go_on()
            self.desk.end(first)
            self.take_in([command], before)

    @precondition(has_wish)
    @rule(which=choices)
    def export(self, which: int) -> None:
        """Write the results of a batch again; each link is to be where it was."""
        for wish in self.one_of(self.wishes, which):
            told["move: exported"] += 1
            ran = self.desk.export(wish.name)
            assert ran.code in {0, 6}, ran
            for row in csv.DictReader(io.StringIO(ran.out)):
                cells = [row.get("name") or ""]
                self.see(row["payout_url"], recipient(row["email"], row["reference"], cells))

    @precondition(has_wish)
    @rule()
    def copy_the_ledger(self) -> None:
        self.copy = Copy(self.desk.copy_of_the_ledger(), deepcopy(self.wishes))

    @precondition(has_copy)
    @rule()
    def restore_the_older_copy(self) -> None:
        """Put an older copy in the ledger's place, which is refused; one that is as new as the ledger is not."""
        assert self.copy is not None
        told["move: older ledger restored"] += 1
        newer, wishes, copy = self.desk.copy_of_the_ledger(), self.wishes, self.copy
        self.desk.restore(copy.ledger)
        probe = self.desk.run("batch", "list")
        if probe.code == 4:
            assert "ledger_went_backwards" == probe.error["code"]
            told["move: older ledger refused"] += 1
            self.desk.restore(newer)
            return
        self.wishes, self.refusals = deepcopy(copy.wishes), []
        known = {order["idempotency_key"] for order in self.desk.purchases() if order["state"] == State.COMPLETED}
        self.elsewhere |= self.desk.bank.made() - known
        # An order that is forgotten may be recorded anew with the same bytes and key for somebody else.
        links = {line.payout_url for wish in self.wishes for line in self.desk.lines(self.batch(wish))}
        self.beside = {url: whom for url, whom in self.beside.items() if url in links}
        assert len(wishes) >= len(self.wishes)

    @precondition(has_file)
    @rule(which=choices, change=st.one_of(st.none(), edits), row=choices, gift=addressed, spelling=spellings,
          weather=weather_of(["fair", "storm", "lost", "kill"]))  # fmt: skip
    def run_it_on_another_machine(
        self, which: int, change: str | None, row: int, gift: Gift, spelling: Spelling, weather: Weather
    ) -> None:
        """Run a named command, perhaps with an edited file, with another ledger and the same account."""
        for wish in self.one_of([wish for wish in self.files() if self.is_the_same_elsewhere(wish)], which):
            told[f"move: another machine{', edited' if change else ''}"] += 1
            self.sound = False
            command = replace(wish.command, again=False, cap=None, spelling=spelling)
            if change:
                command = command.edited(change, row, gift)
            before, before_by_name = self.books(), self.desk.bank.made_for(wish.name)
            with self.desk.on_another_machine():
                for each in (weather, FAIR):
                    ran = self.desk.run(*command.arguments(), weather=each, stdin=command.stdin())
                    assert ran.code in {KILLED, 0, 3, 4, 5, 6, 7, 8}, ran
                told[f"other machine: exit {ran.code}"] += 1
                assert ran.code != 6 or ran.error["code"] in {"batch_changed", "links_in_doubt", "duplicate"}, ran
                for line in (line for each in self.desk.ledger.batches() for line in self.desk.lines(each)):
                    self.see(line.payout_url, recipient(line.email, line.reference, line.carried))
            # With --again this machine may have issued more than the files hold; the other one adds nothing to that.
            most = before_by_name | wish.command.wire_meanings() | command.wire_meanings()
            twice = self.desk.bank.made_for(wish.name) - most
            assert not twice, f"paid again from another machine: {twice}"
            self.elsewhere |= self.desk.bank.made() - before.made
            wish.most |= command.meanings()  # for an edit here takes over what was issued there

    @rule(time=times, skew=skews)
    def let_time_pass_and_set_the_clock(self, time: timedelta, skew: timedelta) -> None:
        self.desk.time.sleep(time.total_seconds())
        self.desk.skew = skew

    # --- running it, and what should come of it ------------------------------------------------------------------

    def create(self, command: Command, weather: Weather) -> None:
        """Run a create, and compare what it does with what was asked for."""
        self.sound = False
        before = self.books()
        ran = self.desk.run(*command.arguments(), weather=weather, stdin=command.stdin())
        assert ran.code in {KILLED, INTERRUPTED, 0, 3, 4, 5, 6, 7, 8, 9}, ran
        new = self.take_in([command], before)
        if ran.code in {3, 6}:
            self.check_refusal(ran, before, command)
            return
        assert new or not command.cap or self.books().spent - before.spent <= command.cap
        if batch := self.worked_on(ran, new):
            if ran.code in {0, 5, 7, 8} and batch.pruned_at is None:
                missing = self.made(batch) - command.meanings()
                assert not missing, f"issued gifts were edited away: {missing}"
            self.compare_with_the_books(ran, batch, before, command)
        else:
            not_looked_up = ran.code == 7 and _was_not_looked_through(ran)
            assert not_looked_up or ran.code in {KILLED, INTERRUPTED, 4}, f"nothing was recorded: {ran}"
            assert not not_looked_up or before.agree_with(self.books())

    def run_both(self, command: Command, other: Command, point: str, weather: Weather) -> None:
        """Run two creates of one wish, the second while the first stands at a point; the first to record is to win."""
        self.sound = False
        before = self.books()
        first = self.desk.begin(*command.arguments(), weather=weather, stdin=command.stdin(), paused_at=point)
        rans = []
        if first.pauses():
            rans.append((other, self.desk.run_meanwhile(*other.arguments(), stdin=other.stdin())))
            self.check_the_claim(rans[0][1], point)
            first.go_on()
        rans.append((command, self.desk.end(first)))
        new = self.take_in([command, other], before)
        for typed, ran in rans:
            assert ran.code in {0, 3, 4, 5, 6, 7, 8, 75}, ran
            if ran.code == 6:
                self.check_the_reason(ran, before, typed)
            elif ran.code in {0, 5, 7, 8} and (batch := self.worked_on(ran, new)):
                self.check_what_is_shown(ran, batch, last=ran is rans[-1][1])

    def resume_batch(self, name: str, weather: Weather) -> None:
        self.sound = False
        batch, before = self.desk.ledger.batch("playground", name), self.books()
        assert batch is not None
        ran = self.desk.run("batch", "resume", name, weather=weather)
        if batch.pruned_at is None:
            self.compare_with_the_books(ran, batch, before)
        self.check_what_was_made(before, [])
        if ran.code == 6:
            self.check_the_reason(ran, before, None)

    def run(self, *arguments: str) -> Ran:
        """Run what is not to send anything."""
        self.sound = False
        before = self.books()
        ran = self.desk.run(*arguments)
        assert before.agree_with(self.books())
        return ran

    def check_the_claim(self, ran: Ran, point: str) -> None:
        """Make sure that nobody works on a batch while another one does, or is about to show what came of it."""
        event, name, _ = point.split(":")
        if name == "Batches.record" or (event, name) == ("call", "Claims.take") or ran.code == 3:
            return
        assert ran.code == 75 or (ran.code == 6 and (event, name) == ("return", "Batches.mark_shown")), ran

    # --- a refusal has a reason ----------------------------------------------------------------------------------

    def check_refusal(self, ran: Ran, before: Books, command: Command) -> None:
        assert "not_issued" == ran.error["money"]
        assert before.agree_with(self.books()), f"refused, but after something was done: {ran}"
        if ran.code == 3:
            assert command.has_total, f"refused without a reason: {ran}"
            return
        self.check_the_reason(ran, before, command)
        if ways_out := re.findall(r"`([^`]+)`", ran.error["hint"] or ""):
            self.refusals.append(Refusal(command, ways_out))

    def check_the_reason(self, ran: Ran, before: Books, command: Command | None) -> None:
        assert self.has_reason(ran, [*before.held, *self.desk.held()], command), f"refused without a reason: {ran}"

    def has_reason(self, ran: Ran, held: list[Held], command: Command | None) -> bool:
        batch = self.desk.ledger.batch("playground", ran.error["batch"] or "")
        match ran.error["code"]:
            case "above_max_total":
                return command is not None and command.cap is not None and command.total() > command.cap
            case "name_differs_in_case":
                return command is not None and (command.name or "") != ran.error["batch"]
            case "key_reused":
                keys = {gift.key for gift in held}
                return command is not None and (command.key in keys or batch is not None)
            case "pruned":
                return batch is not None and batch.pruned_at is not None
            case "links_in_doubt" | "issued_elsewhere":  # of what another machine added to a batch that is edited here
                return bool(self.elsewhere)
            case "abandoned":  # before it was sent
                orders = self.desk.purchases(batch.id) if batch else []
                return any(each["state"] == State.ABANDONED and each["first_sent_at"] is None for each in orders)
            case "batch_changed":
                return command is not None and batch is not None and self.is_missing(batch, command)
            case "duplicate" if command is None:
                own = [gift for gift in held if batch and gift.batch_id == batch.id]
                others = [gift for gift in held if batch and (gift.batch_id != batch.id or gift.key in self.elsewhere)]
                return any(gift.is_same_as(one.meaning, one.reference) for gift in others for one in own)
            case "duplicate":
                return any(
                    gift.is_same_as(wanted.meaning, wanted.reference_beside_address)
                    for gift in held
                    if gift.state is not State.REJECTED
                    for wanted in (command.gifts if command else ())
                )
            case _:
                return False

    def is_missing(self, batch: Batch, command: Command) -> bool:
        """Tell whether a file lacks a gift that a batch may have issued."""
        holding = {State.PREPARED, State.SENT, State.ACCEPTED, State.COMPLETED}
        left = [(gift.meaning, gift.reference_beside_address) for gift in command.gifts]
        own = [gift for gift in self.desk.held() if gift.batch_id == batch.id and gift.state in holding]
        for gift in sorted((gift for gift in own if not gift.unsent), key=lambda gift: not gift.reference):
            same = [wanted for wanted in left if gift.is_same_as(*wanted)]
            if not same:
                return True
            left.remove(max(same, key=lambda wanted: wanted[1] == gift.reference))
        return False

    # --- never twice ---------------------------------------------------------------------------------------------

    def take_in(self, commands: list[Command], before: Books) -> Batch | None:
        """Note which batch became of commands, or which one they changed; return the one that is new."""
        self.check_what_was_made(before, commands)
        new = set(self.desk.batch_ids()) - before.batches
        assert len(new) <= 1, "one command, two batches"
        for batch_id in new:
            batch = self.desk.ledger.batch_by_id(batch_id)
            self.wishes.append(Wish(commands[0], batch_id, batch.name, self.desk.time.now(), Counter()))
        keys = {order["batch_id"]: order["idempotency_key"] for order in self.desk.purchases()}
        for command in commands:
            if command.has_total:
                continue  # it was refused before anything was recorded
            for wish in self.wishes:
                if command.name != wish.name and wish.batch_id not in new and keys.get(wish.batch_id) != command.key:
                    continue
                wish.most |= command.meanings()
                if self.is_recorded(wish, command):
                    wish.edited = wish.edited or command.stdin() != wish.command.stdin()
                    wish.command = replace(command, key=wish.command.key)
        return self.desk.ledger.batch_by_id(next(iter(new))) if new else None

    def check_what_was_made(self, before: Books, commands: Sequence[Command]) -> None:
        """Make sure that of what Runa made since, each gift was asked for, and not issued or about to be already."""
        made = self.desk.bank.made() - before.made
        if not made or any(command.again for command in commands):
            return
        held = self.desk.held()
        # Runa's no, which could not be recorded when it came, is recorded by the next run before it decides anything.
        refused = {gift.key for gift in held if gift.state is State.REJECTED} - self.desk.bank.made()
        for gift in held:
            if gift.key in made:
                against = [other for other in self.speaking_against(gift, before) if other.key not in refused]
                assert not against, f"paid twice: {gift} was sent in spite of {against}"

    def speaking_against(self, gift: Held, before: Books) -> list[Held]:
        """Return what the ledger held of a gift that ought to have kept it from being sent without `--again`."""
        same = [other for other in before.held if gift.is_same_as(other.meaning, other.reference)]
        recorded = any(other.id == gift.id and other.batch_id == gift.batch_id for other in same)
        others = [other for other in same if other.batch_id != gift.batch_id and other.state in HOLDING]
        if recorded:
            unsent = any(
                other.unsent for other in same if other.id == gift.id
            )  # else only its key tells what became of it
            return [other for other in others if other.id > gift.id and unsent]
        given_up = [other for other in same if other.batch_id == gift.batch_id and other.hidden]
        if gift.batch_id in before.batches:
            return others + given_up
        unfinished = [other for other in others if other.state is not State.COMPLETED]
        if gift.named:
            return unfinished
        if gift.from_file:
            return others
        since = before.now - FLAGS_AGAIN
        return unfinished + [other for other in others if other.settled_at and other.settled_at > since]

    def made(self, batch: Batch) -> Counter[Meaning]:
        """Count what Runa made for a batch, but for what was given up."""
        made = self.desk.bank.made()
        own = [gift for gift in self.desk.held() if gift.batch_id == batch.id and gift.state is not State.ABANDONED]
        return Counter(gift.meaning for gift in own if gift.key in made)

    def worked_on(self, ran: Ran, new: Batch | None) -> Batch | None:
        """Return the batch that a command worked on: a new one, or the one that its output is about."""
        if new is not None or ran.code == KILLED:
            return new
        if ran.code:
            name = ran.error["batch"]
            return self.desk.ledger.batch("playground", name) if name else None
        ids = {order["id"] for order in _documents(ran)}
        found = {order["batch_id"] for order in self.desk.purchases() if order["order_id"] in ids}
        assert 1 == len(found), f"{ran} shows orders of {len(found)} batches"
        return self.desk.ledger.batch_by_id(found.pop())

    def is_recorded(self, wish: Wish, command: Command) -> bool:
        """Tell whether the ledger has taken a command's content, which a kill may have prevented."""
        with command.plan() as plan:
            return self.batch(wish).fingerprint == plan.fingerprint()

    # --- whether the program tells the truth ---------------------------------------------------------------------

    def compare_with_the_books(self, ran: Ran, batch: Batch, before: Books, command: Command | None = None) -> None:
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
            # What Runa has only accepted may turn out FAILED later: with --no-wait nobody has asked yet.
            there = self.desk.bank.ids() | self.desk.bank.made()
            own = self.desk.purchases(batch.id)
            assert sum(tally.orders.values()) == sum(
                order["order_id"] in there or order["idempotency_key"] in there for order in own
            )
            assert tally.orders[State.COMPLETED] <= len(paid)
        else:
            known = [order for order in paid if order["idempotency_key"] not in self.elsewhere]
            self.check_the_error(ran, tally, len(known), len(paid), spent)
        self.check_what_is_shown(ran, batch)

    def check_the_error(self, ran: Ran, tally: Tally, known: int, paid: int, spent: Decimal) -> None:
        """Check an error, of whose orders that many are paid, and that many of those through this ledger."""
        code, money = ran.code, ran.error["money"]
        assert code == ran.error["exit_code"]
        if money == "not_issued":
            assert code in {4, 5, 6, 7, INTERRUPTED}, ran
            # Without a ledger, or before it looked there, a run can speak for itself alone; so does one that was not
            # allowed to send what is new in an edited file.
            alone = ran.error["code"] in {"ledger_unusable", "interrupted"} or _was_not_looked_through(ran)
            assert not (spent if alone else known), f"{ran}, but it was"
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
        if ran.code not in {0, 5, 7, 8} or self.desk.ledger.batch_by_id(batch.id).pruned_at is not None:
            return
        if ran.code == 7 and _was_not_looked_through(ran):  # it ended before there was anything new to show
            return
        shown = _documents(ran)
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
        self.no_batch_is_paid_beyond_what_was_asked()
        self.the_ledger_tells_the_truth()
        self.every_link_stands_beside_its_own_gift()
        assert [] == self.desk.search_differences(), "a search looks at something else than the gifts"
        self.sound = True

    def no_batch_is_paid_beyond_what_was_asked(self) -> None:
        held = self.desk.held()
        missing = self.desk.bank.made() - {gift.key for gift in held} - self.elsewhere
        assert not missing, f"orders at Runa that no ledger knows: {missing}"
        for wish in self.wishes:
            made = self.made(self.batch(wish))
            assert made <= wish.most, f"paid, but not asked for: {made - wish.most}"

    def the_ledger_tells_the_truth(self) -> None:
        paid = self.desk.bank.paid()
        for order in self.desk.purchases():
            made = paid.get(order["idempotency_key"])
            match State(order["state"]):
                case State.COMPLETED:
                    assert made, f"{order} was never paid"
                    assert made["id"] == order["order_id"]
                case State.PREPARED | State.REJECTED | State.FAILED:
                    assert not made or order["idempotency_key"] in self.elsewhere, f"{order} was paid as {made}"

    def every_link_stands_beside_its_own_gift(self) -> None:
        made = {
            item["payout"]["url"]: (order["id"], wire_meaning(item))
            for order in self.desk.bank.paid().values()
            for item in order["items"]
        }
        batches = [self.batch(wish) for wish in self.wishes]
        shown = [line for batch in batches for line in self.desk.lines(batch) if line.payout_url]
        assert len(shown) == len({line.payout_url for line in shown}), "a link is shown twice"
        for line in shown:
            meaning = Meaning(line.email.casefold(), Decimal(line.face_value), frozenset(line.products))
            assert made[line.payout_url] == (line.order_id, meaning)
            self.see(line.payout_url, recipient(line.email, line.reference, line.carried))
        pruned = {batch.id for batch in batches if batch.pruned_at is not None}
        completed = {
            order["order_id"]
            for order in self.desk.purchases()
            if order["state"] == State.COMPLETED and order["batch_id"] not in pruned
        }
        assert {line.payout_url for line in shown} == {url for url, (ident, _) in made.items() if ident in completed}

    def see(self, link: str, whom: str) -> None:
        """Remember beside whom a link was first; it never changes hands."""
        if link:
            first = self.beside.setdefault(link, whom)
            assert first == whom, f"the link of {first} is shown beside {whom}"

    # --- and at the end ------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Finish everything in fair weather: nothing may be lost, and nothing may be paid again."""
        self.desk.skew = timedelta(0)
        self.desk.time.sleep(self.rest.total_seconds())
        for _ in range(2):
            for wish in self.wishes:
                if self.tally(wish).any(State.PREPARED, State.SENT, State.ACCEPTED):
                    self.resume_batch(wish.name, FAIR)
                    if wish.command.name is not None:
                        self.create(replace(wish.command, again=False, cap=None), FAIR)
            # The second time the keys are too old to be sent again, and only a look at Runa can help.
            self.desk.time.sleep(timedelta(days=30).total_seconds())
        self.promises_are_kept()
        held = self.desk.held()
        for wish in self.wishes:
            self.check_the_end(wish, held)
        for written in self.desk.everything_written():
            assert SECRET.encode() not in written
            assert f".{REVOKED}".encode() not in written

    def check_the_end(self, wish: Wish, held: list[Held]) -> None:
        batch, paid = self.batch(wish), self.desk.bank.paid()
        own = [gift for gift in held if gift.batch_id == batch.id]
        left = [gift for gift in own if gift.state in {State.PREPARED, State.ACCEPTED}]
        blocked = {gift.key for gift in left if self.is_issued_later(gift, held)}
        assert {gift.key for gift in left} <= blocked, f"not finished, though nothing blocks it: {left}"
        lost = {gift.key for gift in own if gift.state is State.SENT and gift.key in paid} - self.elsewhere
        assert not lost, f"paid orders that nobody finds: {lost}"
        if batch.pruned_at is None:
            lines = self.desk.lines(batch)
            # What another machine has added is taken over by an edit here, even by one that is refused for its sake.
            more = len(lines) - len(wish.command.gifts)
            assert more == 0 or (more > 0 and self.elsewhere), f"{wish.command} is recorded as {lines}"
            linked = Counter(_line_meaning(line) for line in lines if line.payout_url and line.status != "failed")
            completed = Counter(gift.meaning for gift in own if gift.state is State.COMPLETED and not gift.hidden)
            assert linked == completed
            issued = Counter(gift.meaning for gift in own if gift.key in paid and gift.state is not State.ABANDONED)
            assert self.elsewhere or completed == issued

    def is_issued_later(self, gift: Held, held: list[Held]) -> bool:
        """Tell whether another batch has recorded the same gift later."""
        others = [other for other in held if other.batch_id != gift.batch_id and other.state in HOLDING]
        return any(other.id > gift.id and other.is_same_as(gift.meaning, gift.reference) for other in others)

    # --- helpers -------------------------------------------------------------------------------------------------

    def batch(self, wish: Wish) -> Batch:
        return self.desk.ledger.batch_by_id(wish.batch_id)

    def tally(self, wish: Wish) -> Tally:
        return self.desk.ledger.tally(self.batch(wish))

    def books(self) -> Books:
        bank = self.desk.bank
        paid = (Decimal(str(item["face_value"])) for order in bank.paid().values() for item in order["items"])
        return Books(
            set(self.desk.batch_ids()), bank.posts, sum(paid, Decimal(0)), bank.made(), self.desk.held(),
            self.desk.now(),
        )  # fmt: skip

    def files(self) -> list[Wish]:
        """Return the batches of files, which can be edited."""
        return [wish for wish in self.wishes if wish.command.source == "file"]

    def doubtful(self) -> list[Wish]:
        """Return what can be given up."""
        return [wish for wish in self.wishes if self.tally(wish).any(State.SENT, State.PREPARED)]

    def is_the_same_elsewhere(self, wish: Wish) -> bool:
        """Tell whether a batch has its first content and keys, and was sent so recently that it is looked for."""
        if wish.command.name is None or wish.edited or self.elsewhere:
            return False
        orders = self.desk.purchases(wish.batch_id)
        unsent = {State.PREPARED, State.REJECTED}
        return self.desk.time.now() - wish.begun < timedelta(days=40) and not any(
            order["generation"] or State(order["state"]) in unsent for order in orders
        )

    def one_of(self, wishes: list[Wish], which: int) -> list[Wish]:
        """Choose one, most likely the newest; none where there is none."""
        return [[*wishes, *wishes[-1:] * len(wishes)][which % (2 * len(wishes))]] if wishes else []


def _documents(ran: Ran) -> list[dict[str, Any]]:
    """Return the orders that a run shows."""
    document = json.loads(ran.out) if ran.out else []
    return document if isinstance(document, list) else [document]


def _links(order: dict[str, Any]) -> dict[str, str]:
    """Return each link of an order with its address."""
    return {item["payout"]["url"]: item["distribution_method"].get("email_address", "") for item in order["items"]}


def _was_not_looked_through(ran: Ran) -> bool:
    """Tell whether Runa's orders could not be read, so that nothing was recorded or sent."""
    return "could not be looked through" in ran.error["message"]


def _line_meaning(line: ResultRow) -> Meaning:
    whom = recipient(line.email, line.reference, line.carried)
    return Meaning(whom, Decimal(line.face_value), frozenset(line.products))


def telling(stories: int, steps: int, *, new: bool = False, shortest: bool = True) -> settings:
    """Return how many stories are told, of how many steps at most, and whether they are new ones each time.

    With `shortest` a story that breaks a promise is shortened, which takes minutes.
    """
    return settings(
        derandomize=not new,
        database=None,
        max_examples=stories,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[phase for phase in Phase if shortest or phase not in {Phase.shrink, Phase.explain}],
    )


def on_server(stories: StoryServer) -> type[Issue]:
    """Return the same, with the ledger on a server."""
    return type("IssueOnServer", (Issue,), {"stories": stories})


TestIssue = Issue.TestCase
TestIssue.settings = telling(20, 15, shortest=False)


class IssueAtLength(Issue):
    """The same, with more stories, and longer ones."""


TestIssueAtLength = pytest.mark.slow(IssueAtLength.TestCase)
TestIssueAtLength.settings = telling(60, 15, shortest=False)
