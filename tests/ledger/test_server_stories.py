"""A few stories of `tests/app/test_state_machine.py` with the ledger on a server, and a few kills there."""

import shutil

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.app.test_state_machine import on_server, telling
from tests.crash import SCENARIOS, Harness
from tests.support.faultpoints import Kind, edges, evenly
from tests.support.postgres import Server
from tests.support.story_server import StoryServer

pytestmark = [pytest.mark.slow, pytest.mark.file_ledger("it has one of its own")]


def test_stories_come_to_a_good_end_with_the_ledger_on_a_server(postgres: Server) -> None:
    run_state_machine_as_test(on_server(StoryServer(postgres)), settings=telling(4, 8, shortest=False))


@pytest.fixture(scope="module")
def harness(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """Build the shim."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler (cc) for the shim that numbers the program's system calls")
    return Harness.build(tmp_path_factory.mktemp("harness"), server=postgres)


@pytest.mark.parametrize(("kind", "most"), [("kill", 4), ("cut", 3)])
def test_struck_at_a_call_it_finishes_with_every_gift_once_with_the_ledger_on_a_server(
    harness: Harness, kind: Kind, most: int
) -> None:
    """Killed before it, or the connection to the server is cut there."""
    gift = SCENARIOS[0]
    for boundary in evenly(edges(harness.undisturbed_run(gift, kind).boundaries), most):
        with harness.case(gift) as case:
            case.inject(kind, boundary.number)
            case.finish()
    assert [] == harness.count.faults
