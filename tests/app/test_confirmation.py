"""Before money moves a person is asked, with all that a yes depends on: in live, and wherever --confirm says so."""

import re
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.program import GIFT, Program, posts
from tests.support.terminal import ended_on_a_terminal

LIVE = {"RUNA_ENV": "live", "RUNA_API_KEY": "wgtests.secret"}
LINK = {"email": "", "reference": "L1", "product": "800PET-US", "face_value": "25"}


def create(path: Path, *flags: str) -> tuple[str, ...]:
    return ("order", "create", "--file", str(path), "--batch", "bonus", *flags)


def asked(program: Program, *command: str, typed: str, **env: str) -> tuple[int, list[str]]:
    """Run a command at a terminal, and return its exit code and the lines up to the question."""
    code, shown = ended_on_a_terminal(program, *command, columns=300, typed=f"{typed}\n", env={**env, "NO_COLOR": "1"})
    lines = shown.replace("\r", "").split("\n")
    last = next((number for number, line in enumerate(lines) if "[y/N]" in line), -1)
    return code, [line.partition("[y/N]")[0] for line in lines[: last + 1]]


@pytest.mark.parametrize("env", [LIVE, {}])
def test_the_question_names_all_that_a_yes_depends_on(program: Program, emulate: Emulate, env: dict[str, str]) -> None:
    emulator = emulate()
    rows = [*gifts(3), {**gifts(1)[0], "reference": "E9"}, {**gifts(1)[0], **LINK}]
    path = sheet(program.home / "gifts.csv", rows)
    flags = ("--allow-links", *(() if env else ("--confirm",)))
    code, lines = asked(program, *create(path, *flags), typed="y", **env)
    assert 0 == code
    where, account = ("live", "wgtests") if env else ("local", "emulator")
    assert [
        f"From {path}, as batch bonus:",
        "  New: 5 gifts, 68.00 USD",
        "  Issued before: none",
        "  Delivery: 4 mailed to 3 people, 1 payout link made",
        "  Products: AMZ-US (4), 800PET-US (1)",
        f"Issue 5 gifts, 68.00 USD, in {where}, from account {account}? ",
    ] == [line for line in lines if not line.startswith(("y", "New ledger", "Note: "))]
    assert 1 == posts(emulator)


def test_anything_but_a_yes_sends_nothing(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    code, _ = asked(program, *GIFT, "--confirm", typed="")
    assert (6, 0) == (code, posts(emulator))
    assert [] == program.states()


def test_without_confirm_nobody_is_asked_in_local(program: Program, emulate: Emulate) -> None:
    emulate()
    assert (0, []) == asked(program, *GIFT, typed="")


def test_the_question_about_an_edited_batch_tells_what_was_issued_before(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(3))
    assert 0 == program(*create(path)).code
    sheet(path, gifts(5))
    code, lines = asked(program, *create(path, "--confirm"), typed="y")
    assert 0 == code
    assert {"  New: 2 gifts, 27.00 USD", "  Issued before: 3 gifts, 33.00 USD"} <= {*lines}


def test_the_question_tells_what_was_issued_in_another_batch(program: Program, emulate: Emulate) -> None:
    """It is no note that --quiet silences."""
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(3))
    assert 0 == program(*create(path)).code
    code, lines = asked(program, *create(path)[:-1], "second", "--confirm", "--quiet", typed="y")
    assert 0 == code
    assert any("3 of the 3 gifts in this file were issued before, the last in batch bonus" in line for line in lines)


def test_what_an_earlier_run_left_unsent_is_asked_about_as_well(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(3))
    assert -9 == program.killed_at("return:Batches.record", *create(path)).code
    code, lines = asked(program, *create(path, "--confirm"), typed="n")
    assert (6, 0) == (code, posts(emulator))
    assert {f"From {path}, as batch bonus:", "  Delivery: 3 mailed to 3 people", "  Products: AMZ-US"} <= {*lines}


def test_a_resume_in_live_asks_the_same(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(3))
    program.env.update(LIVE)
    assert -9 == program.killed_at("return:Batches.record", *create(path, "--yes")).code
    code, lines = asked(program, "batch", "resume", "bonus", typed="n")
    assert (6, 0) == (code, posts(emulator))
    assert {"From the ledger, as batch bonus:", "  New: 3 gifts, 33.00 USD", "  Delivery: 3 mailed to 3 people"} <= {
        *lines
    }


def test_by_reference_the_question_covers_what_earlier_runs_left_unsent(program: Program, emulate: Emulate) -> None:
    emulate()
    command = ("order", "create", "--file", str(program.home / "gifts.csv"), "--by-reference")
    sheet(program.home / "gifts.csv", gifts(2))
    assert -9 == program.killed_at("return:Batches.record", *command).code
    sheet(program.home / "gifts.csv", gifts(3))
    code, lines = asked(program, *command, "--confirm", typed="y")
    assert 0 == code
    assert {"  New: 3 gifts, 33.00 USD", "  Issued before: 2 gifts of the input, by reference"} <= {*lines}


@pytest.mark.parametrize("answer", ["--yes", "--confirm-total=10"])
def test_without_a_terminal_confirm_needs_the_answer_of_live(program: Program, emulate: Emulate, answer: str) -> None:
    emulator = emulate()
    silent = program(*GIFT, "--confirm", "--json")
    assert (6, "not_confirmed", 0) == (silent.code, silent.error["code"], posts(emulator))
    assert "in local too: 1 gift, 10.00 USD, from account emulator" in silent.error["message"]
    assert "1 mailed to 1 person" in silent.error["message"]
    assert 0 == program(*GIFT, "--confirm", answer).code


def test_a_made_up_batch_is_asked_about_by_the_name_it_gets(program: Program, emulate: Emulate) -> None:
    emulate()
    _, lines = asked(program, *GIFT, "--confirm", typed="y")
    (named,) = [line for line in lines if line.startswith("From flags, as batch ")]
    (batch,) = program("batch", "list", "--json").json
    assert batch["batch"] == re.sub("^From flags, as batch (.*):$", r"\1", named)
