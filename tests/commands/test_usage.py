"""What the program says of a command line that it does not understand, in its own words."""

import pytest

from tests.support.program import Program


@pytest.mark.parametrize(
    ("typed", "message", "command"),
    [
        ("order list --limit x", "--limit must be a whole number of at least 1.", "runa order list"),
        ("order list --limit 0", "--limit must be a whole number of at least 1.", "runa order list"),
        ("batch prune --older-than -1", "--older-than must be a whole number from 0 to 36500.", "runa batch prune"),
        ("batch show", "NAME is missing.", "runa batch show"),
        ("batch cards b", "--to is missing.", "runa batch cards"),
        ("batch show a b", "There is an argument too many: b.", "runa batch show"),
        ("order create --batch", "--batch needs a value.", "runa order create"),
        ("order create --quiet=1", "--quiet takes no value.", "runa order create"),
        (
            "order create --facevalue 1",
            "There is no option --facevalue. Did you mean --face-value?",
            "runa order create",
        ),
        ("ping -x", "There is no option -x.", "runa ping"),
        ("crate", "No such command 'crate'.", "runa"),
    ],
)
def test_what_is_wrong_is_said_with_the_help_that_explains_it(
    program: Program, typed: str, message: str, command: str
) -> None:
    ran = program(*typed.split())
    assert (2, f"Error: {message}\nSee `{command} --help`.\n") == (ran.code, ran.err)


def test_an_option_before_the_command_is_explained(program: Program) -> None:
    ran = program("--env", "local", "ping")
    assert "Options come after the command, as in `runa ping --env local`" in ran.err


@pytest.mark.parametrize("typed", ["batch prune --ye", "order create --agian", "order create --no-lokup"])
def test_what_overrides_a_safeguard_is_not_suggested(program: Program, typed: str) -> None:
    ran = program(*typed.split())
    assert 2 == ran.code
    assert not {"--yes", "--again", "--no-lookup"} & {*ran.err.replace("?", " ").split()}
