"""`batch show` tells of an approval only what is true: for which content, until when, and what was issued under it."""

from datetime import timedelta
from pathlib import Path

import pytest

from runa_cli.core.system import system_user
from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.program import Program
from tests.support.ran import Ran
from tests.support.signers import Signers

PEOPLE = 3  # who get 33 USD in all


@pytest.fixture
def signers(program: Program, emulate: Emulate, tmp_path: Path) -> Signers:
    """Return bob, who may approve above 25 USD."""
    emulate()
    return Signers.with_bob(program, tmp_path / "signers")


def create(program: Program, people: int, *more: str) -> Ran:
    path = sheet(program.home / "gifts.csv", gifts(people))
    return program("order", "create", "--file", str(path), "--batch", "bonus", *more)


def propose_and_sign(program: Program, signers: Signers, people: int = PEOPLE) -> None:
    signature = signers.sign("bob", create(program, people, "--propose").out)
    assert 0 == program("batch", "approve", "bonus", "--signature", str(signature)).code


def told(program: Program) -> list[str]:
    """Return what the table says of approval."""
    lines = [line.strip() for line in program("batch", "show", "bonus").out.splitlines()]
    return [line for line in lines if line.startswith(("Approval", "Issued under"))]


def approval(program: Program) -> dict[str, object]:
    """Return what JSON says of approval."""
    ran = program("batch", "show", "bonus", "--json")
    assert 0 == ran.code, ran.err
    found: dict[str, object] = ran.json["approval"]
    return found


def reserved_and_left(program: Program) -> list[tuple[str, str]]:
    """Return how each limit of the policy stands."""
    return [(row["reserved"], row["left"]) for row in program("policy", "show", "--json").json]


def under(program: Program) -> list[tuple[object, object]]:
    """Return by whom what was issued was approved, and how many gifts that are."""
    issued = approval(program)["issued_under"]
    assert isinstance(issued, list)
    return [(each["approvals"], each["items"]) for each in issued]


def test_what_is_proposed_says_until_when_it_counts(program: Program, signers: Signers) -> None:
    create(program, PEOPLE, "--propose")
    (line,) = told(program)
    assert f"proposed by {system_user()} on " in line
    assert ", approved by nobody yet, valid until " in line
    assert ("proposed", [], []) == tuple(approval(program)[name] for name in ("state", "approvals", "signed_by"))
    propose_and_sign(program, signers)
    assert ", approved by bob@example.com, valid until " in told(program)[0]
    assert ("proposed", ["bob@example.com"]) == tuple(approval(program)[name] for name in ("state", "approvals"))


@pytest.mark.file_ledger("moves the clock, and a server has its own")
def test_what_has_expired_is_not_said_to_be_approved(program: Program, signers: Signers) -> None:
    propose_and_sign(program, signers)
    program.time.sleep(timedelta(hours=73).total_seconds())
    (line,) = told(program)
    assert "none any more: " in line
    assert ", approved by bob@example.com, expired on " in line
    assert ("expired", [], ["bob@example.com"]) == tuple(
        approval(program)[name] for name in ("state", "approvals", "signed_by")
    )


@pytest.mark.file_ledger("moves the clock, and a server has its own")
def test_a_policy_that_lets_it_expire_earlier_by_now_is_taken_into_account(program: Program, signers: Signers) -> None:
    propose_and_sign(program, signers)
    signers.set_policy(expires="1h")
    program.time.sleep(timedelta(hours=2).total_seconds())
    assert "expired" == approval(program)["state"]


@pytest.mark.parametrize("is_signed", [True, False])
def test_what_was_edited_and_issued_without_approval_was_not_approved(
    program: Program, signers: Signers, *, is_signed: bool
) -> None:
    if is_signed:
        propose_and_sign(program, signers)
    else:
        create(program, PEOPLE, "--propose")
    assert 0 == create(program, 2).code
    line, issued = told(program)
    by = "bob@example.com" if is_signed else "nobody"
    assert "none for this content: other content was proposed by " in line
    assert line.endswith(f" and approved by {by}")
    assert issued.endswith("no recorded approval: 2 gifts")
    assert ("changed", []) == tuple(approval(program)[name] for name in ("state", "approvals"))
    assert [([], 2)] == under(program)
    ran = program("batch", "approve", "bonus", "--json")
    assert (6, "nothing_to_approve") == (ran.code, ran.error["code"])


def test_what_was_issued_says_under_which_approval(program: Program, signers: Signers) -> None:
    propose_and_sign(program, signers)
    assert 0 == program("batch", "resume", "bonus").code
    line, issued = told(program)
    assert line.endswith(", approved by bob@example.com; nothing of it is left to send")
    assert "approval by bob@example.com, proposed by " in issued
    assert issued.endswith(": 3 gifts")
    assert ("closed", ["bob@example.com"]) == tuple(approval(program)[name] for name in ("state", "approvals"))
    assert [(["bob@example.com"], 3)] == under(program)


def test_each_part_is_issued_under_its_own_approval(program: Program, signers: Signers) -> None:
    signers.allow("carol")
    assert 0 == create(program, 1).code
    propose_and_sign(program, signers)
    assert 0 == program("batch", "resume", "bonus").code
    signature = signers.sign("carol", create(program, 5, "--propose").out)
    assert 0 == program("batch", "approve", "bonus", "--signature", str(signature)).code
    assert [([], 1), (["bob@example.com"], 2)] == under(program)
    assert 0 == program("batch", "resume", "bonus").code
    assert [([], 1), (["bob@example.com"], 2), (["carol"], 2)] == under(program)


def test_a_signature_that_does_not_count_any_more_is_told(program: Program, signers: Signers) -> None:
    propose_and_sign(program, signers)
    signers.allow("carol")
    signers.forbid("bob")
    assert ", approved by nobody yet (the signature of bob@example.com does not count any more), " in told(program)[0]
    assert [] == approval(program)["approvals"]


def test_a_proposal_is_withdrawn_by_abandoning_it_and_gives_its_money_back(program: Program, signers: Signers) -> None:
    signers.policy.write_text(f'{signers.policy.read_text()}[[limit]]\nper = "all"\nmax = "50 USD"\n')
    signature = signers.sign("bob", create(program, PEOPLE, "--propose").out)
    assert [("33.00", "17.00")] == reserved_and_left(program)
    assert 0 == program("batch", "abandon", "bonus", "--yes").code
    assert [("0.00", "50.00")] == reserved_and_left(program)
    assert told(program)[0].endswith(", approved by nobody; nothing of it is left to send")
    ran = program("batch", "approve", "bonus", "--signature", str(signature), "--json")
    assert (6, "nothing_to_approve") == (ran.code, ran.error["code"])
    propose_again = create(program, PEOPLE, "--again", "--propose")
    assert (0, "proposed") == (propose_again.code, approval(program)["state"])


def test_a_pruned_batch_keeps_what_it_was_issued_under(program: Program, signers: Signers) -> None:
    propose_and_sign(program, signers)
    assert 0 == program("batch", "resume", "bonus").code
    assert 0 == program("batch", "prune", "--older-than", "0", "--yes").code
    assert ("closed", [(["bob@example.com"], 3)]) == (approval(program)["state"], under(program))


def test_an_approval_is_shown_where_the_policy_cannot_be_used(program: Program, signers: Signers) -> None:
    propose_and_sign(program, signers)
    signers.policy.unlink()
    assert ("proposed", ["bob@example.com"]) == tuple(approval(program)[name] for name in ("state", "approvals"))
