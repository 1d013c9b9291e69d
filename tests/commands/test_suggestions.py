"""What is suggested for a mistyped command."""

import pytest

from runa_cli.commands.options import NEVER_SUGGESTED
from tests.support.program import Program


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        (["ordr"], "Did you mean `runa order`?"),
        (["batch", "lst"], "Did you mean `runa batch list`?"),
        (["gift", "gt"], "Did you mean `runa gift get`?"),
    ],
)
def test_a_typo_gets_the_command_that_is_meant(program: Program, typed: list[str], suggested: str) -> None:
    ran = program(*typed)
    assert (2, True) == (ran.code, suggested in ran.err)


@pytest.mark.parametrize(
    "typed", ["batch prun", "batch pruned", "batch abandn", "emulator rest", "prune", "batch resum"]
)
def test_what_cannot_be_undone_is_never_suggested(program: Program, typed: str) -> None:
    ran = program(*typed.split())
    assert (2, set()) == (ran.code, {name for name in NEVER_SUGGESTED if f" {name}`" in ran.err})
