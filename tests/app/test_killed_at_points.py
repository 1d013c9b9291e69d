"""Killed with SIGKILL at each boundary and run again, the program leaves one order and shows its link."""

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, Program, links_at, orders_at

BOUNDARIES = {
    "before the record": "call:Batches.record",
    "after the record": "return:Batches.record",
    "before the claim": "call:Claims.take",
    "marked as sent": "return:Orders.mark_sent",
    "connected": "return:HTTPConnection.connect",
    "after the send": "call:HTTPResponse.begin",
    "at the reply's body": "call:_read_body",
    "after the reply": "return:Client.create_order",
    "before the commit of the reply": "call:Orders.mark_completed",
    "after the commit of the reply": "return:Orders.mark_completed",
    "before the print": "call:show_batch",
    "in the print": "return:Output.text",
    "after the print": "call:Batches.mark_shown",
}
TWO = ("order", "create", "--face-value", "10", "--quantity", "2", "--product", "AMZ-US")


@pytest.mark.parametrize("point", BOUNDARIES.values(), ids=BOUNDARIES.keys())
def test_a_single_order_killed_at_a_boundary_is_issued_once_and_its_link_is_shown(
    program: Program, emulate: Emulate, point: str
) -> None:
    emulator = emulate()
    assert -9 == program.killed_at(point, *GIFT, "-o", "links").code
    ran = program(*GIFT, "-o", "links")
    assert 0 == ran.code, ran.err
    assert 1 == len(orders_at(emulator))
    assert links_at(emulator) == set(ran.out.split())
    assert ["completed"] == program.states()


@pytest.mark.parametrize(
    "point", ["return:Orders.mark_accepted", "call:Client.fetch_order", "return:Client.fetch_order"]
)
def test_an_order_of_several_gifts_killed_while_it_is_processed_is_issued_once(
    program: Program, emulate: Emulate, point: str
) -> None:
    emulator = emulate()
    assert -9 == program.killed_at(point, *TWO, "-o", "links").code
    ran = program(*TWO, "-o", "links")
    assert 0 == ran.code, ran.err
    assert 1 == len(orders_at(emulator))
    assert links_at(emulator) == set(ran.out.split())


def test_again_does_not_skip_over_an_order_that_was_never_shown(program: Program, emulate: Emulate) -> None:
    """`--again` means one more than what was seen: killed before the print, nothing was seen."""
    emulator = emulate()
    assert 0 == program(*GIFT).code
    assert -9 == program.killed_at("call:show_batch", *GIFT, "--again").code
    assert 0 == program(*GIFT, "--again").code
    assert 2 == len(orders_at(emulator))


@pytest.mark.parametrize("point", ["return:Orders.mark_completed", "call:show_batch", "return:Output.text"])
def test_links_that_came_after_the_acceptance_was_shown_are_shown_before_the_same_is_a_duplicate(
    program: Program, emulate: Emulate, point: str
) -> None:
    """What was shown so far had no links: to the person who asks again, the batch is not done."""
    emulator = emulate()
    assert 0 == program(*TWO, "--no-wait").code
    assert -9 == program.killed_at(point, *TWO).code
    assert ["completed"] == program.states()
    ran = program(*TWO, "-o", "links")
    assert (0, links_at(emulator)) == (ran.code, set(ran.out.split())), ran.err
    assert 6 == program(*TWO).code
    assert 1 == len(orders_at(emulator))
