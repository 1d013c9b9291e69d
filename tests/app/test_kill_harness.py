"""The kill harness in short: faults at some of the program's system calls, spread evenly; it finishes all the same.

`python -m tests.crash` takes every one of them.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash import SCENARIOS, Harness
from tests.support.faultpoints import Boundary, Kind, NotObserved, evenly
from tests.support.kill_cases import Scenario

GIFT, BATCH = SCENARIOS[0], SCENARIOS[-1]
CRUCIAL = ("connect socket", "send socket", "recv socket", "write shown")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """Build the shim."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler (cc) for the shim that numbers the program's system calls")
    return Harness.build(tmp_path_factory.mktemp("harness"))


@pytest.fixture
def harness(built: Harness) -> Harness:
    """Return where cases are made, nothing counted yet."""
    return Harness(built.directory, built.library)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [GIFT, BATCH], ids=lambda scenario: scenario.name)
@pytest.mark.parametrize(("kind", "most"), [("kill", 8), ("full", 5), ("sync", 3)])
def test_struck_at_a_boundary_it_finishes_with_every_gift_once_and_every_link_shown(
    harness: Harness, scenario: Scenario, kind: Kind, most: int
) -> None:
    numbers = places(harness.undisturbed_run(scenario, kind).boundaries, most)
    for number in numbers:
        with harness.case(scenario) as case:
            case.inject(kind, number)
            case.finish()
    assert [] == harness.count.faults
    # The threads of a batch do not come to quite as many boundaries each time.
    assert len(numbers) - harness.count.injected <= (scenario is BATCH)


def places(boundaries: Sequence[Boundary], most: int) -> list[int]:
    """Return the numbers of boundaries spread evenly, and of the first of each kind at which most is at stake."""
    first = {boundary.name: boundary.number for boundary in reversed(boundaries)}
    spread = {boundary.number for boundary in evenly(boundaries, most)}
    return sorted(spread | {first[name] for name in CRUCIAL if name in first})


@pytest.mark.slow
def test_a_harness_that_does_not_see_the_program_says_so(harness: Harness, tmp_path: Path) -> None:
    """A run that is not watched looks like one that cannot be hit."""
    with pytest.raises(NotObserved):
        Harness(harness.directory, tmp_path / "absent.so").undisturbed_run(GIFT, "kill")
