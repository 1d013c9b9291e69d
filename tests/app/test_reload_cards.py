"""A card that is loaded again takes the address that it was first loaded with; another one gets a warning."""

import json

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import sheet
from tests.support.ledgers import make_older
from tests.support.program import Program, behave, posts
from tests.support.ran import Ran

CARD = {"face_value": "10", "product": "VISARL-USD"}


def load(program: Program, *cards: tuple[str, str], batch: str, more: tuple[str, ...] = ()) -> Ran:
    """Issue a list of recipients and addresses."""
    rows = [{**CARD, "recipient": recipient, "email": email} for recipient, email in cards]
    path = sheet(program.home / f"{batch}.csv", rows)
    return program("order", "create", "--file", str(path), "--batch", batch, *more)


def warnings(ran: Ran) -> list[str]:
    """Return what is said of rows; that gifts were issued before is a warning too."""
    return [
        line.removeprefix("Warning: ")
        for line in ran.err.splitlines()
        if line.startswith(("Warning: Row", "Warning: So"))
    ]


def test_another_address_than_the_first_gets_a_warning_and_is_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    first = load(program, ("R-1", "ann@old.example"), ("R-2", "ben@example.com"), batch="first")
    assert (0, []) == (first.code, warnings(first))
    ran = load(program, ("R-2", "ben@example.com"), ("R-1", "ann@new.example"), batch="second")
    assert 0 == ran.code
    assert [
        "Row 2: the card of R-1 was first loaded with the address ann@old.example, and this is ann@new.example."
        " Runa refuses to load a card again under another address."
    ] == warnings(ran)
    assert 2 == posts(emulator)


def test_a_dry_run_warns_too_and_quiet_does_not_silence_it(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    load(program, ("R-1", "ann@old.example"), batch="first")
    ran = load(program, ("R-1", "ann@new.example"), batch="second", more=("--dry-run", "--quiet"))
    assert 1 == len(warnings(ran))
    assert 1 == posts(emulator)


def test_the_address_that_counts_is_the_first_one(program: Program, emulate: Emulate) -> None:
    """One that was refused since does not become the card's."""
    emulate()
    load(program, ("R-1", "ann@old.example"), batch="first")
    assert 1 == len(warnings(load(program, ("R-1", "ann@new.example"), batch="second")))
    assert [] == warnings(load(program, ("R-1", " Ann@OLD.example"), batch="third", more=("--again",)))
    assert 1 == len(warnings(load(program, ("R-1", "ann@new.example"), batch="fourth", more=("--again",))))


def test_what_runa_refused_does_not_count(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    behave(emulator, "no-funds@*")
    assert 5 == load(program, ("R-1", "ann@typo.example"), batch="first").code
    behave(emulator)
    ran = load(program, ("R-1", "ann@example.com"), batch="second")
    assert (0, []) == (ran.code, warnings(ran))


def test_two_addresses_in_one_list_are_found_without_a_ledger(program: Program, emulate: Emulate) -> None:
    emulate()
    ran = load(program, ("R-1", "ann@example.com"), ("R-1", "ben@example.com"), batch="first", more=("--dry-run",))
    assert 1 == len(warnings(ran))
    assert not (program.home / ".local").exists()


def test_many_of_them_are_counted(program: Program, emulate: Emulate) -> None:
    emulate()
    load(program, *((f"R-{number}", f"{number}@old.example") for number in range(8)), batch="first")
    ran = load(program, *((f"R-{number}", f"{number}@new.example") for number in range(8)), batch="second")
    assert 6 == len(warnings(ran))
    assert "So it is in 3 more rows." == warnings(ran)[-1]


def test_the_address_of_a_mailed_gift_may_be_any(program: Program, emulate: Emulate) -> None:
    emulate()
    for email in ("ann@example.com", "ben@example.com"):
        ran = program("order", "create", "--face-value", "10", "--product", "AMZ-US", "--email", email)
        assert (0, []) == (ran.code, warnings(ran))


def test_with_json_nothing_but_the_result_is_written(program: Program, emulate: Emulate) -> None:
    emulate()
    load(program, ("R-1", "ann@old.example"), batch="first")
    ran = load(program, ("R-1", "ann@new.example"), batch="second", more=("--json",))
    assert (0, "") == (ran.code, ran.err)
    assert "COMPLETED" == json.loads(ran.out)[0]["status"]


@pytest.mark.file_ledger("the tables of an older program are in a file")
def test_what_an_older_program_recorded_is_known(program: Program, emulate: Emulate) -> None:
    emulate()
    load(program, ("R-1", "ann@old.example"), batch="first")
    make_older(program.ledger, 11, program.mark)
    assert 1 == len(warnings(load(program, ("R-1", "ann@new.example"), batch="second")))
