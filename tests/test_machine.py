"""Whatever is asked for, goes wrong and is asked for again, in any order: never twice, never lost, and the truth told.

Hypothesis invents a story of commands, faults, crashes and days that pass, and holds the ledger and what each run said
against the emulator's books after every step. CI tells a fixed set of stories; `HYPOTHESIS_PROFILE=long` many
more, and new ones each time.
"""

# ruff: noqa: D102 - the name of a rule says what it does
import csv
import io
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runa_cli import intake
from runa_cli.errors import GuardRefused, Money
from runa_cli.intake import Given
from runa_cli.plan import Plan
from runa_cli.records import Batch, State, Tally
from runa_cli.runs import Run
from tests.desk import CLIENT_POINTS, FAIR, LEDGER_POINTS, Crash, Desk, Fuse, Gift, Weather, gifts_of

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"

MEMORY = Path("/dev/shm")  # nothing here has to outlive the machine, and a disk takes its time to be sure
UNFINISHED = (State.PREPARED, State.SENT, State.ACCEPTED, State.REJECTED)
GOOD, BAD = ("AMZ-US", "10"), ("800PET-US", "26")  # the second product exists for 25 and 50 alone
ORDER_FAULTS = (
    "lost-before", "lost-after", "cut-length", "cut-close", "unreadable", "102", "in-progress", "429",
    "429-retry-after", "stored-5xx", "stored-5xx-made", "transient-5xx", "503-html", "foreign-order", "shuffled",
    "failed", "failed-bare", "redirect",
)  # fmt: skip
READ_FAULTS = ("get-500", "get-429", "get-lost", "get-404")

addresses = st.sampled_from(["ann@example.com", "bob@example.com", "cat@example.com"])
products = st.sampled_from([GOOD, GOOD, GOOD, ("AMZ-US", "20"), BAD])
parts = st.sampled_from(["part 1", "part 1", "part 2", "part 3"])
rows = st.builds(lambda address, product, part: Gift(address, product[1], product[0], part), addresses, products, parts)
faults = st.builds(
    "{}@{}".format, st.sampled_from([*ORDER_FAULTS, *READ_FAULTS]), st.sampled_from(["1", "1-2", "2", "*", "*"])
)
crashes = st.builds(Fuse, st.sampled_from(sorted(LEDGER_POINTS | CLIENT_POINTS)), st.booleans(), st.integers(1, 2))
weathers = st.one_of(
    st.just(FAIR),
    st.sampled_from(
        [
            Weather(("lost-after@*",)),
            Weather(("lost-after@*",)),
            Weather(("shuffled@*",)),
            Weather(("foreign-order@1",)),
        ]
    ),
    st.builds(lambda found: Weather(tuple(found)), st.lists(faults, min_size=1, max_size=2)),
    st.builds(lambda crash, found: Weather(tuple(found), crash=crash), crashes, st.lists(faults, max_size=1)),
    st.just(Weather(reachable=False)),
    st.just(Weather(key_works=False)),
    st.just(Weather(funds=False)),
)
times = st.sampled_from([timedelta(minutes=1), timedelta(minutes=11), timedelta(days=2), timedelta(days=29),
                         timedelta(days=31)])  # fmt: skip


@dataclass
class Wish:
    """What somebody wants to happen once, however often it takes a command; and the batch it became."""

    source: str
    name: str | None
    gifts: list[Gift]
    batch_id: int


class Issue(RuleBasedStateMachine):
    """One person, one ledger, one account."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.desk = Desk(Path(self._directory.name))
        self.wishes: list[Wish] = []
        self.sound = True  # false while a rule runs, and for ever after one has failed

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
        weather=weathers,
    )
    def order_a_gift(
        self, address: str, product: tuple[str, str], again: bool, cap: str | None, weather: Weather
    ) -> None:
        gift = Gift(address, product[1], product[0], None)
        self.create("flags", [gift], weather, again=again, cap=Decimal(cap) if cap else None)

    @rule(
        name=st.sampled_from(["spring", "summer", None]), gifts=st.lists(rows, min_size=1, max_size=6), weather=weathers
    )
    def issue_a_file(self, name: str | None, gifts: list[Gift], weather: Weather) -> None:
        self.create("file", gifts, weather, name=name)

    @precondition(lambda self: self.wishes)
    @rule(data=st.data(), again=st.sampled_from([False, False, True]), weather=weathers)
    def run_the_same_command_again(self, data: st.DataObject, again: bool, weather: Weather) -> None:
        wish = self.one_of(self.wishes, data)
        self.create(wish.source, wish.gifts, weather, name=wish.name, again=again)

    @precondition(lambda self: self.files())
    @rule(data=st.data(), change=st.sampled_from(["add", "change", "remove"]), gift=rows, weather=weathers)
    def edit_a_file(self, data: st.DataObject, change: str, gift: Gift, weather: Weather) -> None:
        wish = self.one_of(self.files(), data)
        place = data.draw(st.integers(0, len(wish.gifts) - 1))
        new = [] if change == "remove" and len(wish.gifts) > 1 else [gift]
        rest = wish.gifts[place:] if change == "add" else wish.gifts[place + 1 :]
        self.create("file", [*wish.gifts[:place], *new, *rest], weather, name=wish.name)

    @precondition(lambda self: any(BAD[0] == gift.product for wish in self.files() for gift in wish.gifts))
    @rule(weather=weathers)
    def mend_what_was_rejected(self, weather: Weather) -> None:
        wish = next(wish for wish in self.files() if any(BAD[0] == gift.product for gift in wish.gifts))
        mended = [gift._replace(value="25") if gift.product == BAD[0] else gift for gift in wish.gifts]
        self.create("file", mended, weather, name=wish.name)

    @precondition(lambda self: self.wishes)
    @rule(data=st.data(), weather=weathers)
    def resume(self, data: st.DataObject, weather: Weather) -> None:
        batch = self.batch(self.one_of(self.wishes, data))
        self.sound = False
        paid = self.spent()
        try:
            run = self.desk.resume(batch, weather)
        except Crash:
            return
        self.hold_against_the_books(run, self.spent() - paid)

    @precondition(lambda self: self.doubtful())
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        self.sound = False
        self.desk.abandon(self.batch(self.one_of(self.doubtful(), data)))

    @precondition(lambda self: self.wishes)
    @rule(time=times)
    def let_time_pass(self, time: timedelta) -> None:
        self.desk.clock.sleep(time.total_seconds())

    # --- what should come of it ----------------------------------------------------------------------------------

    def create(
        self,
        source: str,
        gifts: list[Gift],
        weather: Weather,
        *,
        name: str | None = None,
        again: bool = False,
        cap: Decimal | None = None,
    ) -> None:
        """Run a create, and hold what it does against what was wished for."""
        self.sound = False
        wish, refused = self.meant(source, gifts, name, again=again)
        if cap is not None and sum(Decimal(gift.value) for gift in gifts) > cap:
            refused = True
        untouchable = self.issued(wish) - Counter(gifts) if wish else Counter()
        batches, posts, spent = self.desk.batch_ids(), self.desk.bank.posts, self.spent()
        run = None
        try:
            run = self.desk.create(plan_of(source, gifts), weather, name=name, again=again, max_total=cap)
        except GuardRefused as guard:
            changed = guard.code == "batch_changed" and wish is not None and self.is_held(wish, gifts)
            self.check_refusal(refused or changed, guard)
            self.check_refusal(posts == self.desk.bank.posts and spent == self.spent(), guard)
            return
        except Crash:
            pass
        else:
            assert not refused, "what was refused by right went through"
        new = set(self.desk.batch_ids()) - set(batches)
        self.check_batch(wish, run, new)
        self.wishes += [Wish(source, name, gifts, batch_id) for batch_id in new]
        if wish and self.is_recorded(wish, source, gifts):
            assert not untouchable, f"issued gifts were edited away: {untouchable}"
            wish.gifts = gifts
        if run is not None:
            self.hold_against_the_books(run, self.spent() - spent, cap)

    def check_refusal(self, rightly: bool, guard: GuardRefused) -> None:
        assert rightly, f"refused without a reason, or after something was sent: {guard}"

    def is_held(self, wish: Wish, gifts: list[Gift]) -> bool:
        """Tell whether an edited file lacks what a batch may have issued."""
        held = self.desk.recorded(wish.batch_id, State.SENT, State.ACCEPTED, State.COMPLETED)
        return bool(held - Counter(gifts))

    def check_batch(self, wish: Wish | None, run: Run | None, new: set[int]) -> None:
        """Make sure that a new wish became a new batch, and an old one did not."""
        if wish is not None:
            assert not new, f"{wish.gifts} were issued as another batch, though they are wished for once"
            assert run is None or wish.batch_id == run.batch.id
        else:
            assert new or run is None, "a new wish was taken for an old one"

    def meant(self, source: str, gifts: list[Gift], name: str | None, *, again: bool) -> tuple[Wish | None, bool]:
        """Return the old wish that a create stands for, if any, and whether it is to be refused."""
        if name is not None:
            return next((wish for wish in self.wishes if wish.name == name), None), False
        for wish in reversed(self.wishes):
            if wish.gifts == gifts and wish.source == source:
                batch = self.batch(wish)
                tally = self.desk.ledger.tally(batch)
                if self.is_open(batch, tally, again=again):
                    return wish, False
                if not again and (tally.any(State.ABANDONED) or source == "file" or self.is_recent(tally, minutes=10)):
                    return None, True
        return None, False

    def is_open(self, batch: Batch, tally: Tally, *, again: bool) -> bool:
        """Tell whether somebody who asks for the same cannot know yet that it is done."""
        if again and batch.shown_at is not None:
            return tally.any(State.PREPARED, State.SENT, State.REJECTED)
        if tally.any(*UNFINISHED):
            return True
        unseen = batch.shown_at is None and tally.any(State.COMPLETED, State.FAILED)
        return unseen and (self.is_recent(tally, minutes=24 * 60) or (batch.source == "file" and not again))

    def is_recent(self, tally: Tally, *, minutes: int) -> bool:
        return tally.settled_at is not None and self.desk.clock.now() - tally.settled_at < timedelta(minutes=minutes)

    def is_recorded(self, wish: Wish, source: str, gifts: list[Gift]) -> bool:
        """Tell whether the ledger has taken an edited file, which a crash may have prevented."""
        with plan_of(source, gifts) as plan:
            return self.batch(wish).fingerprint == plan.fingerprint()

    def issued(self, wish: Wish) -> Counter[Gift]:
        """Count what Runa was paid for in a batch, but for what was given up."""
        paid, state = self.desk.bank.paid(), State.ABANDONED
        keys = [order["idempotency_key"] for order in self.desk.purchases(wish.batch_id) if order["state"] != state]
        return Counter(gift for key in keys if key in paid for gift in gifts_of(paid[key]))

    def hold_against_the_books(self, run: Run, spent: Decimal, cap: Decimal | None = None) -> None:
        """Compare what a run says with what Runa was paid for."""
        assert cap is None or spent <= cap
        verdict, tally, bank = run.verdict(), self.desk.ledger.tally(run.batch), self.desk.bank.paid()
        paid = [order for order in self.desk.purchases(run.batch.id) if order["idempotency_key"] in bank]
        if verdict is None:
            assert {State.COMPLETED} == {state for state in State if tally.orders[state]}
            assert sum(tally.orders.values()) == len(paid)
        elif verdict.money is Money.NOT_ISSUED:
            assert not paid, f"{verdict} (exit {verdict.exit_code}), but it was"
        elif verdict.money is Money.UNKNOWN:
            assert 7 == verdict.exit_code
            assert tally.any(State.SENT, State.ACCEPTED, State.ABANDONED)
        else:
            assert (8, Money.PARTIAL) == (verdict.exit_code, verdict.money)
            assert paid
            assert tally.any(State.COMPLETED)

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
        for _ in range(2):
            for wish in self.wishes:
                if not self.desk.ledger.tally(self.batch(wish)).any(*UNFINISHED):
                    continue
                self.desk.resume(self.batch(wish))
                if wish.name is not None:
                    self.desk.create(plan_of(wish.source, wish.gifts), name=wish.name)
            # The second time the keys are too old to be sent again, and only a look at Runa can help.
            self.desk.clock.sleep(timedelta(days=30).total_seconds())
        self.promises_are_kept()
        for wish in self.wishes:
            self.check_the_end(wish)

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

    def files(self) -> list[Wish]:
        """Return the named batches, which can be edited."""
        return [wish for wish in self.wishes if wish.name is not None]

    def doubtful(self) -> list[Wish]:
        """Return what can be given up."""
        states = (State.SENT, State.PREPARED)
        return [wish for wish in self.wishes if self.desk.ledger.tally(self.batch(wish)).any(*states)]

    def one_of(self, wishes: list[Wish], data: st.DataObject) -> Wish:
        """Draw one, most likely the newest."""
        return data.draw(st.sampled_from([*wishes, *[wishes[-1]] * len(wishes)]))

    def spent(self) -> Decimal:
        return sum(
            (Decimal(gift.value) for order in self.desk.bank.paid().values() for gift in gifts_of(order)), Decimal(0)
        )


def plan_of(source: str, gifts: list[Gift]) -> Plan:
    """Return the plan that these gifts make, typed or from a file."""
    if source == "flags":
        (gift,) = gifts
        return intake.from_flags(Given(face_value=gift.value, emails=(gift.address,), products=(gift.product,)))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["email", "face_value", "product", "description"])
    writer.writerows(gifts)
    return intake.from_file("-", Given(), "csv", io.BytesIO(text.getvalue().encode()))


TestIssue = Issue.TestCase
TestIssue.settings = settings(
    derandomize=not LONG,
    database=None,
    max_examples=20_000 if LONG else 80,
    stateful_step_count=30 if LONG else 15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
