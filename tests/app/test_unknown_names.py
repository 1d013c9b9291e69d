"""Names that there are not: the same exit code for all of them, and the name that was meant."""

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, Program


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("batch", "show", "nope"), "no_batch"),
        (("batch", "resume", "nope"), "no_batch"),
        (("gift", "get", "nope"), "no_gift"),
        (("product", "get", "NOPE"), "no_product"),
        (("balance", "XXX"), "no_currency"),
        (("balance", "dollars"), "no_currency"),
    ],
)
def test_what_there_is_not_exits_with_3_whatever_it_is(
    program: Program, emulate: Emulate, command: tuple[str, ...], code: str
) -> None:
    emulate()
    ran = program(*command, "--json")
    assert (3, code, "not_issued", "") == (ran.code, ran.error["code"], ran.error["money"], ran.out)


def test_a_balance_that_was_never_held_is_no_mistake(program: Program, emulate: Emulate) -> None:
    emulate()
    assert (0, "CHF") == ((ran := program("balance", "chf", "--json")).code, ran.json["currency"])


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        (("batch", "show", "bonsu"), "There is no batch bonsu in local. Did you mean bonus?"),
        (("batch", "export", "Bonus"), "There is no batch Bonus in local. Did you mean bonus?"),
        (("product", "get", "AMZ-USX"), "Did you mean AMZ-US?"),
        (("balance", "usdd"), "There is no currency 'USDD'. Did you mean USD?"),
        (("product", "list", "--country", "Germny"), "Did you mean Germany?"),
        (("product", "list", "--category", "fashon"), "there is no category 'fashon'. Did you mean fashion?"),
        (("product", "list", "--currency", "USX"), "there is no product currency 'USX'. Did you mean USD?"),
    ],
)
def test_a_mistyped_name_gets_the_one_that_is_meant(
    program: Program, emulate: Emulate, command: tuple[str, ...], meant: str
) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "bonus").code
    assert meant in program(*command, "--json").error["message"]


@pytest.mark.parametrize("command", ["abandon", "prune"])
def test_no_batch_is_suggested_to_a_command_that_cannot_be_undone(
    program: Program, emulate: Emulate, command: str
) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "bonus").code
    ran = program("batch", command, "bonsu", "--yes", "--json")
    assert (3, "There is no batch bonsu in local.") == (ran.code, ran.error["message"])


def test_a_cursor_that_is_none_is_wrong_usage(program: Program, emulate: Emulate) -> None:
    emulate()
    for command in ("order", "gift"):
        ran = program(command, "list", "--after", "zzz", "--json")
        assert (2, True) == (ran.code, ran.error["message"].startswith("--after must be a cursor that `runa ")), ran
