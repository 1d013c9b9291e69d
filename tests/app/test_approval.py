"""A batch above the amount of the policy is sent once somebody else has signed what it is to issue."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runa_cli.core.system import system_user
from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.program import GIFT, Program, orders_at, posts
from tests.support.ran import Ran
from tests.support.signers import Signers

PEOPLE = 3  # who get 33 USD in all


@pytest.fixture
def signers(program: Program, tmp_path: Path) -> Signers:
    """Return bob, who may approve above 25 USD."""
    return Signers.with_bob(program, tmp_path / "signers")


@pytest.fixture
def listed(program: Program) -> Path:
    """Return a file of gifts that need approval."""
    return sheet(program.home / "gifts.csv", gifts(PEOPLE))


def create(program: Program, path: Path, *more: str) -> Ran:
    return program("order", "create", "--file", str(path), "--batch", "bonus", *more)


def propose(program: Program, path: Path) -> str:
    """Propose the file, and return the statement."""
    ran = create(program, path, "--propose")
    assert 0 == ran.code, ran.err
    return ran.out


def approve(program: Program, signature: Path, *more: str) -> Ran:
    return program("batch", "approve", "bonus", "--signature", str(signature), *more)


def resume(program: Program, *more: str) -> Ran:
    return program("batch", "resume", "bonus", *more)


def test_a_batch_is_sent_once_somebody_else_has_signed_it(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    statement = propose(program, listed)
    assert 0 == posts(emulator)
    waits = resume(program, "--json")
    assert (6, "not_approved", "not_issued") == (waits.code, waits.error["code"], waits.error["money"])
    approved = approve(program, signers.sign("bob", statement), "--json")
    assert (0, "bob@example.com", "approved") == (approved.code, approved.json["approved_by"], approved.json["state"])
    assert 0 == posts(emulator)
    assert ["bob@example.com"] == program("batch", "show", "bonus", "--json").json["approval"]["approvals"]
    assert 0 == resume(program).code
    assert PEOPLE == sum(len(order["items"]) for order in orders_at(emulator))


def test_the_statement_says_what_is_approved(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    lines = dict(line.partition(": ")[::2] for line in propose(program, listed).splitlines())
    assert ('"bonus"', "local", "3 gifts in 1 order", "33.00 USD") == (
        lines["Batch"], lines["Environment"], lines["Gifts"], lines["Total"],
    )  # fmt: skip
    assert lines["Proposed by"].startswith(f"{system_user()} on ")
    assert 64 == len(lines["Content (SHA-256)"])
    printed = program("batch", "approve", "bonus")
    assert printed.out == propose(program, listed)
    document = program("batch", "approve", "bonus", "--json").json
    assert (printed.out, [], 1) == (document["statement"], document["approvals"], document["approvals_needed"])


def facts_in(statement: str) -> dict[str, str]:
    """Return the facts of a statement by their names."""
    return dict(line.partition(": ")[::2] for line in statement.splitlines())


def test_the_statement_says_what_was_given_up(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    assert "none" == facts_in(propose(program, listed))["Given up"]
    assert 0 == program("batch", "abandon", "bonus", "--yes").code
    again = create(program, listed, "--again", "--propose").out
    facts = facts_in(again)
    assert ("66.00 USD", "3 gifts, 33.00 USD", "3 gifts, 33.00 USD") == (
        facts["Total"], facts["To be issued"], facts["Given up"],
    )  # fmt: skip
    assert 0 == approve(program, signers.sign("bob", again)).code
    resume(program)
    assert 1 == posts(emulator)


def test_what_was_given_up_with_unknown_outcome_may_have_been_issued(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    program.killed_at("call:Client.create_order", "batch", "resume", "bonus")
    assert 0 == program("batch", "abandon", "bonus", "--yes").code
    facts = facts_in(create(program, listed, "--again", "--propose").out)
    assert "3 gifts, 33.00 USD of unknown outcome, perhaps issued" == facts["Given up"]


def test_the_statement_tells_whole_seconds_and_counts_no_longer_than_the_policy_says(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    before = datetime.now(UTC)
    facts = facts_in(propose(program, listed))
    at, until = facts["Proposed at"], facts["Valid until"]
    assert (len("2026-11-30T19:33:05+00:00"),) * 2 == (len(at), len(until))
    assert timedelta(hours=72) == datetime.fromisoformat(until) - datetime.fromisoformat(at)
    if program.database is None:
        assert timedelta(seconds=-1) < datetime.fromisoformat(at) - before


@pytest.mark.file_ledger("changes the file")
def test_a_proposal_of_an_older_version_can_still_be_approved_and_sent(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    statement = propose(program, listed)
    with closing(sqlite3.connect(program.ledger)) as connection, connection:
        ((text, at),) = connection.execute("SELECT facts, proposed_at FROM proposal")
        facts = json.loads(text)
        del facts["given_up"]
        at = at.replace(".000000", ".267477")
        facts |= {"at": at, "until": facts["until"].replace("+00:00", ".267477+00:00")}
        connection.execute("UPDATE proposal SET facts = ?, proposed_at = ?", (json.dumps(facts), at))
    older = statement.replace("Given up: none\n", "").replace("+00:00\n", ".267477+00:00\n")
    assert older == program("batch", "approve", "bonus").out
    assert 0 == approve(program, signers.sign("bob", older)).code
    assert (0, 1) == (resume(program).code, posts(emulator))


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--yes",)])
def test_above_the_amount_nothing_is_recorded_or_sent_without_a_proposal(
    program: Program, emulate: Emulate, signers: Signers, listed: Path, more: tuple[str, ...]
) -> None:
    emulator = emulate()
    ran = create(program, listed, *more, "--json")
    assert (6, "approval_needed") == (ran.code, ran.error["code"])
    assert "--propose" in ran.error["hint"]
    assert "33.00 USD" in ran.error["message"]
    assert 0 == posts(emulator)
    assert [] == program("batch", "list", "--json").json


def test_up_to_the_amount_nothing_needs_approval(program: Program, emulate: Emulate, signers: Signers) -> None:
    emulate()
    signers.set_policy("33 USD")
    assert 0 == create(program, sheet(program.home / "gifts.csv", gifts(PEOPLE))).code


def test_every_way_to_send_asks_for_the_approval(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    propose(program, listed)
    for command in (
        ("batch", "resume", "bonus"),
        ("batch", "resume", "--all"),
        ("order", "create", "--file", str(listed), "--batch", "bonus"),
        ("order", "create", "--file", str(listed)),
    ):
        assert (command, 6) == (command, program(*command).code)
    assert 0 == posts(emulator)


def test_a_list_that_grows_by_reference_past_the_amount_needs_approval(
    program: Program, emulate: Emulate, signers: Signers
) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(2))
    assert 0 == create(program, path, "--by-reference").code
    sheet(path, gifts(3))
    dry = create(program, path, "--by-reference", "--json", "--dry-run")
    assert (6, "approval_needed") == (dry.code, dry.error["code"])
    ran = create(program, path, "--by-reference", "--json")
    assert (6, "approval_needed", 1) == (ran.code, ran.error["code"], posts(emulator))


def test_what_was_recorded_before_the_policy_was_set_is_not_sent_either(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    del program.env["RUNA_POLICY"]
    program.killed_at("call:WorkerPool.run", *("order", "create", "--file", str(listed), "--batch", "bonus"))
    program.env["RUNA_POLICY"] = str(signers.policy)
    ran = resume(program, "--json")
    assert (6, "approval_needed", 0) == (ran.code, ran.error["code"], posts(emulator))


def refused(ran: Ran) -> str:
    """Return the code of a refusal by which nothing moved."""
    assert (6, "not_issued") == (ran.code, ran.error["money"]), ran.err
    return str(ran.error["code"])


def test_a_signature_of_another_text_does_not_count(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    statement = propose(program, listed).replace("33.00", "10.00")
    assert "signature_of_other_statement" == refused(approve(program, signers.sign("bob", statement), "--json"))


def test_a_signature_for_another_purpose_does_not_count(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    signature = signers.sign("bob", propose(program, listed), namespace="git")
    ran = approve(program, signature, "--json")
    assert "wrong_namespace" == refused(ran)
    assert "'git'" in ran.error["message"]


def test_a_key_that_is_not_allowed_cannot_approve(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    signature = signers.sign("mallory", propose(program, listed))
    assert "unknown_signer" == refused(approve(program, signature, "--json"))


@pytest.mark.parametrize("principal", [system_user(), f"{system_user()}@example.com", system_user().upper()])
def test_who_proposed_cannot_approve(
    program: Program, emulate: Emulate, signers: Signers, listed: Path, principal: str
) -> None:
    emulate()
    signers.allow("own", principal)
    signature = signers.sign("own", propose(program, listed))
    assert "own_signature" == refused(approve(program, signature, "--json"))


def test_an_edit_voids_what_was_signed(program: Program, emulate: Emulate, signers: Signers, listed: Path) -> None:
    emulator = emulate()
    statement = propose(program, listed)
    assert 0 == approve(program, signers.sign("bob", statement)).code
    sheet(listed, gifts(PEOPLE + 1))
    again = propose(program, listed)
    assert statement != again
    assert "not_approved" == refused(resume(program, "--json"))
    assert "signature_of_other_statement" == refused(approve(program, signers.sign("bob", statement), "--json"))
    assert 0 == approve(program, signers.sign("bob", again)).code
    assert (0, 1) == (resume(program).code, posts(emulator))


@pytest.mark.parametrize("is_signed", [True, False])
def test_an_edit_says_that_it_voids_the_approval_that_the_batch_has(
    program: Program, emulate: Emulate, signers: Signers, listed: Path, *, is_signed: bool
) -> None:
    emulate()
    signature = signers.sign("bob", propose(program, listed))
    if is_signed:
        assert 0 == approve(program, signature).code
    sheet(listed, gifts(PEOPLE + 1))
    said = "approved by bob@example.com (1 of 1)" if is_signed else "not approved yet (0 of 1)"
    for more in ((), ("--dry-run",)):
        ran = create(program, listed, *more, "--json")
        assert "approval_needed" == refused(ran)
        assert said in ran.error["message"]
        assert "it does not count for this edit, and ends for good once the edit is proposed" in ran.error["message"]
        assert is_signed == ("`runa batch resume bonus`" in ran.error["hint"])
    sheet(listed, gifts(PEOPLE))
    assert (0 if is_signed else 6) == resume(program).code


def test_an_edit_that_is_taken_back_needs_a_new_signature(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    signature = signers.sign("bob", propose(program, listed))
    assert 0 == approve(program, signature).code
    sheet(listed, gifts(PEOPLE + 1))
    propose(program, listed)
    sheet(listed, gifts(PEOPLE))
    propose(program, listed)
    assert "not_approved" == refused(resume(program, "--json"))
    assert "signature_of_other_statement" == refused(approve(program, signature, "--json"))


@pytest.mark.file_ledger("moves the clock, and a server has its own")
def test_a_proposal_expires_with_its_signatures(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    signature = signers.sign("bob", propose(program, listed))
    assert 0 == approve(program, signature).code
    program.time.sleep(timedelta(hours=73).total_seconds())
    assert "approval_expired" == refused(resume(program, "--json"))
    assert "approval_expired" == refused(approve(program, signature, "--json"))
    again = propose(program, listed)
    assert 0 == approve(program, signers.sign("bob", again)).code
    assert (0, 1) == (resume(program).code, posts(emulator))


@pytest.mark.file_ledger("moves the clock, and a server has its own")
def test_no_statement_is_printed_to_be_signed_that_nobody_can_approve_any_more(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    propose(program, listed)
    program.time.sleep(timedelta(hours=73).total_seconds())
    ran = program("batch", "approve", "bonus", "--json")
    assert ("approval_expired", "") == (refused(ran), program("batch", "approve", "bonus").out)
    assert "approval_expired" == refused(program("batch", "approve", "bonus", "--json", RUNA_POLICY=""))
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    assert 0 == resume(program).code
    assert "nothing_to_approve" == refused(program("batch", "approve", "bonus", "--json"))


def test_a_policy_may_ask_for_two_people_and_one_person_with_two_keys_is_one(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    signers.set_policy(count=2)
    signers.allow("bob2", "bob@example.com")
    signers.allow("carol")
    statement = propose(program, listed)
    for key in ("bob", "bob", "bob2"):
        ran = approve(program, signers.sign(key, statement), "--json")
        assert (0, ["bob@example.com"], "proposed") == (ran.code, ran.json["approvals"], ran.json["state"])
    ran = resume(program, "--json")
    assert "not_approved" == refused(ran)
    assert "1 of 2" in ran.error["message"]
    assert 0 == approve(program, signers.sign("carol", statement)).code
    assert 0 == resume(program).code


def test_who_is_no_longer_allowed_has_not_approved(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    signers.allow("carol")
    signers.forbid("bob")
    ran = resume(program, "--json")
    assert "not_approved" == refused(ran)
    assert "bob@example.com does not count any more" in ran.error["message"]
    assert 0 == posts(emulator)


def test_a_signature_that_is_none_is_refused(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    propose(program, listed)
    for path in (listed, program.home / "missing.sig", signers.key("bob")):
        assert "signature_unreadable" == refused(approve(program, path, "--json"))


def test_without_ssh_keygen_nothing_is_approved_or_sent(
    program: Program, emulate: Emulate, signers: Signers, listed: Path, tmp_path: Path
) -> None:
    emulate()
    signature = signers.sign("bob", propose(program, listed))
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = program("batch", "approve", "bonus", "--signature", str(signature), "--json", PATH=str(empty))
    assert (4, "no_ssh_keygen") == (ran.code, ran.error["code"])


def test_signers_that_cannot_be_read_or_that_others_may_change_are_an_error(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    signature = signers.sign("bob", propose(program, listed))
    signers.file.chmod(0o666)
    ran = approve(program, signature, "--json")
    assert (4, "signers_unusable") == (ran.code, ran.error["code"])
    signers.file.unlink()
    ran = approve(program, signature, "--json")
    assert (4, "signers_unusable") == (ran.code, ran.error["code"])


@pytest.mark.parametrize("more", [("--propose",), ("--propose", "--dry-run")])
def test_nothing_is_proposed_that_nobody_could_approve_with_these_signers(
    program: Program, emulate: Emulate, signers: Signers, listed: Path, more: tuple[str, ...]
) -> None:
    emulate()
    public = signers.key("bob").with_suffix(".key.pub").read_text()
    for content, mode, told in (
        (None, 0o644, "cannot be read: No such file or directory"),
        (f"bob {public}", 0o664, "can be changed by others than its owner"),
        (public, 0o644, "line 1 needs a name before the key"),
    ):
        signers.file.unlink(missing_ok=True)
        if content is not None:
            signers.file.write_text(content)
            signers.file.chmod(mode)
        ran = create(program, listed, *more, "--json")
        assert (4, "signers_unusable") == (ran.code, ran.error["code"])
        assert told in ran.error["message"]
        checked = program("policy", "check", str(signers.policy), "--json")
        assert (4, ran.error["message"]) == (checked.code, checked.error["message"])
    assert [] == program("batch", "list", "--json").json


def test_a_key_without_a_name_is_told_to_whoever_signed_with_it(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    signature = signers.sign("bob", propose(program, listed))
    signers.file.write_text(signers.key("bob").with_suffix(".key.pub").read_text())
    ran = approve(program, signature, "--json")
    assert "unknown_signer" == refused(ran)
    assert f"In the file of allowed signers {signers.file}, line 1 needs a name before the key." in ran.error["message"]


def test_a_policy_that_others_may_change_is_refused_where_it_asks_for_approval(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    signers.policy.chmod(0o666)
    for command in (("policy", "check"), ("batch", "resume", "bonus")):
        ran = program(*command, "--json")
        assert (4, "policy_unusable") == (ran.code, ran.error["code"])
        assert "can be changed by others" in ran.error["message"]
    signers.policy.write_text('version = 1\n[[limit]]\nper = "all"\nmax = "100 USD"\n')
    assert (0, 0) == (program("policy", "check").code, posts(emulator))


def test_nobody_can_propose_where_no_policy_says_who_may_approve(
    program: Program, emulate: Emulate, listed: Path
) -> None:
    emulator = emulate()
    ran = create(program, listed, "--propose", "--json")
    assert (4, "no_approval_rule", 0) == (ran.code, ran.error["code"], posts(emulator))
    assert [] == program("batch", "list", "--json").json


def test_what_was_proposed_waits_even_if_the_policy_is_gone_or_asks_for_less(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    propose(program, listed)
    signers.set_policy("9000 USD")
    assert "not_approved" == refused(resume(program, "--json"))
    del program.env["RUNA_POLICY"]
    ran = resume(program, "--json")
    assert (4, "no_approval_rule", 0) == (ran.code, ran.error["code"], posts(emulator))


def test_a_signature_does_not_count_in_another_ledger(
    program: Program, emulate: Emulate, signers: Signers, listed: Path, tmp_path: Path
) -> None:
    """The same batch, of the same name, proposed by the same person, but not the one that was signed."""
    emulate()
    signature = signers.sign("bob", propose(program, listed))
    home = tmp_path / "elsewhere"
    home.mkdir()
    other = program.elsewhere(home)
    propose(other, listed)
    assert "signature_of_other_statement" == refused(approve(other, signature, "--json"))


@pytest.mark.file_ledger("changes the file")
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE gift SET same_gift = 'x' WHERE slot = 0",
        "UPDATE purchase SET sent_sha256 = 'x'",
        "UPDATE purchase SET total = '1000.00'",
        "UPDATE proposal SET proposed_at = '2030-01-01T00:00:00.000000+00:00'",
        "UPDATE proposal SET system_user = 'somebody'",
        "UPDATE batch SET name = 'other', name_key = 'other'",
    ],
)
def test_what_was_changed_past_the_program_is_not_what_was_approved(
    program: Program, emulate: Emulate, signers: Signers, listed: Path, change: str
) -> None:
    emulator = emulate()
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    with closing(sqlite3.connect(program.ledger)) as connection, connection:
        connection.execute(change)
    name = "other" if "name_key" in change else "bonus"
    assert "changed_since_proposed" == refused(program("batch", "resume", name, "--json"))
    assert 0 == posts(emulator)


@pytest.mark.file_ledger("changes the file")
def test_what_is_changed_in_the_recorded_statement_is_not_what_was_signed(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    with closing(sqlite3.connect(program.ledger)) as connection, connection:
        ((text,),) = connection.execute("SELECT facts FROM proposal")
        later = json.dumps(json.loads(text) | {"until": "2039-01-01T00:00:00.000000+00:00"})
        connection.execute("UPDATE proposal SET facts = ?", (later,))
    ran = resume(program, "--json")
    assert "not_approved" == refused(ran)
    assert 0 == posts(emulator)


def test_an_edit_while_somebody_approves_waits_for_it(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    signature = signers.sign("bob", propose(program, listed))
    approving = program.paused_at("call:Batches.approve", "batch", "approve", "bonus", "--signature", str(signature))
    assert approving.pauses()
    sheet(listed, gifts(PEOPLE + 1))
    assert 75 == create(program, listed, "--propose").code
    approving.go_on()
    assert 0 == approving.end().code
    assert 0 == create(program, listed, "--propose").code
    assert "not_approved" == refused(resume(program, "--json"))


@pytest.mark.file_ledger("moves the clock, and a server has its own")
def test_an_order_of_unknown_outcome_is_settled_though_the_approval_has_expired(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    """It was approved when it was sent, and money may have moved."""
    emulator = emulate()
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    program.killed_at("return:Client.create_order", "batch", "resume", "bonus")
    program.time.sleep(timedelta(hours=73).total_seconds())
    assert 0 == resume(program).code
    assert 1 == len(orders_at(emulator))


def test_a_proposal_and_an_approval_are_events_of_the_journal(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    assert 0 == resume(program).code
    ran = program("audit", "--journal", "--json")
    assert (0, True) == (ran.code, ran.json["intact"])
    assert 8 == ran.json["events"]


def test_a_batch_of_single_orders_is_held_back_whole(program: Program, emulate: Emulate, signers: Signers) -> None:
    emulator = emulate()
    command = (*GIFT[:2], "--face-value", "30", "--email", "fred@example.com", "--product", "AMZ-US")
    ran = program(*command, "--json")
    assert (6, "approval_needed") == (ran.code, ran.error["code"])
    document = program(*command, "--propose", "--json").json
    name = document["batch"]
    assert 6 == program(*command).code
    signature = signers.sign("bob", document["statement"])
    assert 0 == program("batch", "approve", name, "--signature", str(signature)).code
    assert (0, 1) == (program("batch", "resume", name).code, posts(emulator))
    assert shutil.which("ssh-keygen")


def test_the_key_of_another_account_needs_a_proposal_of_its_own(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    program.env["RUNA_ENV"] = "playground"  # the emulator's own accounts are all one
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    program.env["RUNA_API_KEY"] = "xxother.secret~part"
    assert "approval_for_other_account" == refused(resume(program, "--yes", "--json"))
    again = create(program, listed, "--propose", "--yes")
    assert "xxother" in again.out
    assert 0 == approve(program, signers.sign("bob", again.out)).code
    assert (0, 1) == (resume(program, "--yes").code, posts(emulator))


def test_a_statement_that_cannot_be_written_says_that_nothing_was_sent(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulate()
    with Path("/dev/full").open("w") as full:
        arguments = ("order", "create", "--file", str(listed), "--batch", "bonus", "--propose", "--json")
        ran = program.fork(*arguments, stdout=full.fileno())
    assert (9, "not_issued") == (ran.code, ran.error["money"])
    assert "batch approve bonus" in ran.error["hint"]


def test_a_gift_of_another_currency_needs_approval_whatever_it_is_worth(
    program: Program, emulate: Emulate, signers: Signers
) -> None:
    emulator = emulate()
    gift = ("order", "create", "--face-value", "5", "--email", "fred@example.com", "--product", "AMZ-GB")
    ran = program(*gift, "--json")
    assert (6, "approval_needed", 0) == (ran.code, ran.error["code"], posts(emulator))
    assert (
        f"This comes to 5.00 GBP. The policy {signers.policy} asks for approval above 25.00 USD, and names no amount"
        " for GBP: any amount from such a balance needs the approval of somebody else. Nothing was sent."
    ) == ran.error["message"]
    converted = program(*gift, "--currency", "EUR", "--fx", "--json")
    assert (6, "approval_needed", 0) == (converted.code, converted.error["code"], posts(emulator))
    assert (
        "what a conversion costs is not known here: it needs the approval of somebody else"
        in converted.error["message"]
    )


def test_a_batch_that_was_recorded_and_not_yet_proposed_is_held_back_and_can_be_proposed(
    program: Program, emulate: Emulate, signers: Signers, listed: Path
) -> None:
    emulator = emulate()
    program.killed_at("call:Batches.propose", "order", "create", "--file", str(listed), "--batch", "bonus", "--propose")
    assert "approval_needed" == refused(resume(program, "--json"))
    assert "not_proposed" == refused(program("batch", "approve", "bonus", "--json"))
    assert 0 == approve(program, signers.sign("bob", propose(program, listed))).code
    assert (0, 1) == (resume(program).code, posts(emulator))
