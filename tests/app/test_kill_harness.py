"""The kill harness in short: the program is struck at some of its boundaries, spread evenly, and finishes all the same.

`python -m tests.crash` strikes at every one of them.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash import SCENARIOS, Bench
from tests.support.faultpoints import Blind, Boundary, Kind, evenly
from tests.support.kill_cases import Scenario

GIFT, BATCH = SCENARIOS[0], SCENARIOS[-1]
CRUCIAL = ("connect socket", "send socket", "recv socket", "write shown")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Build the shim."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler (cc) for the shim that numbers the program's system calls")
    return Bench.build(tmp_path_factory.mktemp("bench"))


@pytest.fixture
def bench(built: Bench) -> Bench:
    """Return where cases are made, nothing counted yet."""
    return Bench(built.directory, built.library)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [GIFT, BATCH], ids=lambda scenario: scenario.name)
@pytest.mark.parametrize(("kind", "most"), [("kill", 8), ("full", 5), ("sync", 3)])
def test_struck_at_a_boundary_it_finishes_with_every_gift_once_and_every_link_shown(
    bench: Bench, scenario: Scenario, kind: Kind, most: int
) -> None:
    numbers = places(bench.course(scenario, kind).boundaries, most)
    for number in numbers:
        with bench.case(scenario) as case:
            case.strike(kind, number)
            case.finish()
    assert [] == bench.count.faults
    # The threads of a batch do not come to quite as many boundaries each time.
    assert len(numbers) - bench.count.struck <= (scenario is BATCH)


def places(boundaries: Sequence[Boundary], most: int) -> list[int]:
    """Return the numbers of boundaries spread evenly, and of the first of each kind at which most is at stake."""
    first = {boundary.name: boundary.number for boundary in reversed(boundaries)}
    spread = {boundary.number for boundary in evenly(boundaries, most)}
    return sorted(spread | {first[name] for name in CRUCIAL if name in first})


@pytest.mark.slow
def test_a_harness_that_does_not_see_the_program_says_so(bench: Bench, tmp_path: Path) -> None:
    """A run that is not watched looks like one that cannot be hit."""
    with pytest.raises(Blind):
        Bench(bench.directory, tmp_path / "absent.so").course(GIFT, "kill")
