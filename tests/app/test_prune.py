"""`batch prune` and `batch abandon` act only where it is safe, and nothing is paid again because of them."""

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.program import GIFT, Program, orders_at, posts, wait_for
from tests.support.ran import LONGEST, Ran

PRUNE = ("batch", "prune", "--older-than", "0", "--yes")


def issue(program: Program, path: Path, *more: str) -> Ran:
    return program("order", "create", "--file", str(path), "--batch", "bonus", *more)


def all_bytes(program: Program) -> bytes:
    """Return what all files of the ledger hold. Reading them in this process would release its locks on them."""
    files = sorted(map(str, program.ledger.parent.glob("ledger*")))
    return subprocess.run(["cat", *files], capture_output=True, check=True).stdout


def count(program: Program, condition: str) -> int:
    with closing(sqlite3.connect(program.ledger)) as connection:
        (found,) = connection.execute(f"SELECT count(*) FROM gift WHERE {condition}").fetchone()
    return int(found)


@pytest.mark.file_ledger("a server keeps what was deleted for a while")
def test_prune_drops_links_and_addresses_but_not_the_knowledge_that_it_was_issued(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(2))
    issue(program, path)
    assert 6 == program("batch", "prune", "--older-than", "0").code
    ran = program(*PRUNE)
    assert (0, "1 batch pruned: 2 gifts.") == (ran.code, ran.err.strip())
    assert 2 == count(program, "same_gift IS NOT NULL AND reference_key != '' AND issued IS NULL AND item = '{}'")
    again = program("order", "create", "--file", str(path), "--json")
    assert (6, "duplicate", 1) == (again.code, again.error["code"], posts(emulator))
    assert "batch export" not in again.error["hint"]


def test_no_file_of_the_ledger_holds_the_links_after_a_prune(program: Program, emulate: Emulate) -> None:
    """Nor the -wal file, while another process has the ledger open and keeps the file from being removed."""
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(450))
    program("batch", "list")
    other = sqlite3.connect(program.ledger)
    other.execute("SELECT count(*) FROM gift").fetchall()
    links = issue(program, path, "-o", "links").out.split()
    assert 450 == len(links)
    secrets = [text.encode() for text in (*links, "person449@example.com", "E00449")]
    before = all_bytes(program)
    assert [] == [secret for secret in secrets if secret not in before]
    assert 0 == program(*PRUNE).code
    after = all_bytes(program)
    other.close()
    assert [] == [secret for secret in secrets if secret in after]


def test_a_pruned_batch_with_a_rejected_order_is_refused_and_still_counted(program: Program, emulate: Emulate) -> None:
    """Nothing of it is left to send: the body of the rejected order is gone as well."""
    emulator = emulate()
    rows = [*gifts(1), {**gifts(1, first=1)[0], "face_value": "900000000", "description": "too much"}]
    path = sheet(program.home / "gifts.csv", rows)
    assert 8 == issue(program, path, "--no-preflight").code
    sent = posts(emulator)
    assert 0 == program(*PRUNE).code
    for command in (
        ("order", "create", "--file", str(path), "--batch", "bonus"),
        ("order", "create", "--file", str(path)),
        ("order", "create", "--file", str(path), "--batch", "bonus", "--dry-run"),
        ("batch", "resume", "bonus"),
        ("batch", "export", "bonus"),
    ):
        ran = program(*command, "--json")
        assert (6, "not_issued") == (ran.code, ran.error["money"]), ran.err
    assert sent == posts(emulator)
    (listed,) = program("batch", "list", "--json").json
    assert ("bonus", 2, "partly completed") == tuple(listed[name] for name in ("batch", "items", "state"))
    shown = program("batch", "show", "bonus", "--json").json
    assert ["completed", "rejected"] == [order["state"] for order in shown["orders"]]
    assert "its links are no longer recorded" in program("batch", "show", "bonus").out


def test_links_that_were_never_shown_are_not_pruned(program: Program, emulate: Emulate) -> None:
    emulate()
    program.killed_at("return:Orders.mark_completed", *GIFT, "--batch", "bonus")
    assert ["completed"] == program.states()
    ran = program(*PRUNE)
    assert 0 == ran.code
    assert "has links that were never shown" in ran.err
    assert "`runa batch export bonus` shows them" in ran.err
    named = program("batch", "prune", "bonus", "--older-than", "0", "--yes", "--json")
    assert (6, "not_shown") == (named.code, named.error["code"])
    (link,) = program("batch", "export", "bonus", "-o", "links").out.split()
    assert link
    assert 0 == program("batch", "prune", "bonus", "--older-than", "0", "--yes").code
    assert 6 == program("batch", "export", "bonus").code


def test_links_that_came_after_the_acceptance_was_shown_are_not_pruned(program: Program, emulate: Emulate) -> None:
    emulate(processing_seconds=1)
    path = sheet(program.home / "gifts.csv", gifts(2))
    issue(program, path, "--no-wait")
    program.time.sleep(5)
    program.killed_at("return:Orders.mark_completed", "batch", "resume", "bonus")
    assert ["completed"] == program.states()
    assert "has links that were never shown" in program(*PRUNE).err
    assert 0 == program("batch", "export", "bonus").code


def test_a_batch_that_another_process_works_on_is_neither_pruned_nor_abandoned(
    program: Program, emulate: Emulate
) -> None:
    """A rejected batch is settled until a run takes it up: its order in flight keeps its body, and gets its links."""
    emulator = emulate("slow:30@2")
    rows = [{**gifts(1)[0], "face_value": "900000000"}]
    path = sheet(program.home / "gifts.csv", rows)
    assert 5 == issue(program, path, "--no-preflight").code
    running = program.start("order", "create", "--file", str(path), "--batch", "bonus", "--no-preflight")
    wait_for(lambda: posts(emulator) == 2, running)
    named = program("batch", "prune", "bonus", "--older-than", "0", "--yes", "--json")
    assert (6, "unfinished") == (named.code, named.error["code"])
    abandoned = program("batch", "abandon", "bonus", "--yes", "--json")
    assert (75, "batch_busy") == (abandoned.code, abandoned.error["code"])
    emulator.hurry()
    running.communicate(timeout=LONGEST)
    assert 5 == running.returncode
    assert ["rejected", "rejected"] == program.states()


def test_a_batch_that_changes_between_the_question_and_the_wipe_is_kept(program: Program, emulate: Emulate) -> None:
    """While the question is open, another run renews the rejected order and is killed in flight."""
    emulator = emulate()
    rows = [{**gifts(1)[0], "face_value": "900000000"}]
    path = sheet(program.home / "gifts.csv", rows)
    assert 5 == issue(program, path, "--no-preflight").code
    pruning = program.paused_at("call:_Pruning.prune", *PRUNE, "--json")
    assert pruning.pauses()
    command = ("order", "create", "--file", str(path), "--batch", "bonus", "--no-preflight")
    assert -9 == program.killed_at("return:Client.create_order", *command).code
    assert ["rejected", "sent"] == program.states()
    pruning.go_on()
    ran = pruning.end()
    assert 0 == ran.code, ran.err
    assert [] == ran.json["pruned"]
    assert 5 == program("batch", "resume", "bonus").code
    assert 2 <= posts(emulator)
    assert [] == orders_at(emulator)


def test_prune_skips_a_batch_that_is_in_use_and_says_so(program: Program, emulate: Emulate) -> None:
    emulate()
    issue(program, sheet(program.home / "gifts.csv", gifts(1)))
    program(*GIFT, "--batch", "other")
    holding = program.paused_at("call:show", "batch", "resume", "bonus")
    assert holding.pauses()
    ran = program(*PRUNE, "--json")
    holding.go_on()
    assert 0 == holding.end().code
    assert 0 == ran.code, ran.err
    assert ["other"] == [each["batch"] for each in ran.json["pruned"]]
    assert [("bonus", "batch_busy")] == [(each["batch"], each["code"]) for each in ran.json["kept"]]
    assert 0 == program("batch", "export", "bonus").code


@pytest.mark.file_ledger("it is changed by hand there")
def test_an_order_that_settles_while_the_question_is_open_is_not_abandoned(program: Program, emulate: Emulate) -> None:
    emulate()
    assert -9 == program.killed_at("return:Client.create_order", *GIFT, "--batch", "bonus").code
    abandoning = program.paused_at("call:Orders.mark_abandoned", "batch", "abandon", "bonus", "--yes", "--json")
    assert abandoning.pauses()
    with closing(sqlite3.connect(program.ledger)) as connection, connection:
        connection.execute("UPDATE purchase SET state = 'accepted'")
    abandoning.go_on()
    assert [] == abandoning.end().json["abandoned"]
    assert ["accepted"] == program.states()


def test_a_pruned_batch_is_no_way_out_for_gifts_that_were_issued(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(2))
    issue(program, path)
    longer = ("order", "create", "--file", str(sheet(program.home / "longer.csv", gifts(3))), "--json")
    assert "--batch bonus" in program(*longer).error["hint"]
    assert 0 == program(*PRUNE).code
    ran = program(*longer)
    assert (6, "duplicate") == (ran.code, ran.error["code"])
    assert "--batch bonus" not in ran.error["hint"]


def test_prune_and_abandon_act_in_the_active_environment_only(program: Program, emulate: Emulate) -> None:
    emulate()
    issue(program, sheet(program.home / "gifts.csv", gifts(1)))
    playground = {"RUNA_ENV": "playground", "RUNA_API_KEY": "xxother.key"}
    assert "No settled batch" in program(*PRUNE, **playground).err
    assert (4, "no_environment") == (
        (ran := program(*PRUNE, "--json", RUNA_ENV="", RUNA_API_KEY="")).code,
        ran.error["code"],
    )
    for command in (("prune", "bonus", "--older-than", "0"), ("abandon", "bonus")):
        ran = program("batch", *command, "--yes", "--json", **playground)
        assert (6, "other_environment") == (ran.code, ran.error["code"])
        nowhere = program("batch", *command, "--yes", "--json", RUNA_ENV="", RUNA_API_KEY="")
        assert 4 == nowhere.code
    assert 0 == program("batch", "export", "bonus").code


def test_prune_abandon_and_reset_print_what_they_did_as_json(program: Program, emulate: Emulate) -> None:
    emulate("stored-5xx@2")
    issue(program, sheet(program.home / "gifts.csv", gifts(2)))
    assert 7 == program(*GIFT, "--batch", "lost").code
    assert {"pruned": [{"batch": "bonus", "environment": "local", "items": 2}], "kept": []} == program(
        *PRUNE, "--json"
    ).json
    ran = program("batch", "abandon", "lost", "--yes", "--json")
    (order,) = ran.json["abandoned"]
    assert ("lost", "local", "") == (ran.json["batch"], ran.json["environment"], ran.err)
    assert (1, "10.00", "USD", True) == tuple(order[name] for name in ("items", "total", "currency", "sent"))
    assert [] == program("batch", "abandon", "lost", "--yes", "--json").json["abandoned"]
    reset = program("emulator", "reset", "--json")
    assert (str(program.ledger.with_name("emulator.db")), "") == (json.loads(reset.out)["deleted"], reset.err)


def test_what_was_given_up_before_it_was_sent_is_told_apart_from_what_may_have_been_issued(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate("stored-5xx@1")
    assert -9 == program.killed_at("return:Batches.record", *GIFT, "--batch", "unsent").code
    lost = tuple(word.replace("fred", "ben") for word in GIFT)
    assert 7 == program(*lost, "--batch", "lost").code
    sent = posts(emulator)
    for name, command, code, money in (("unsent", GIFT, 6, "not_issued"), ("lost", lost, 7, "unknown")):
        assert 0 == program("batch", "abandon", name, "--yes").code
        again = program(*command, "--batch", name, "--json")
        assert (code, "abandoned", money) == (again.code, again.error["code"], again.error["money"])
        gift = program("batch", "export", name, "-o", "gifts").json
        assert ("abandoned", money) == (gift["status"], gift["money"])
        shown = program("batch", "show", name).out
        assert ("which may have been issued" in shown) == (money == "unknown")
    assert sent == posts(emulator)


@pytest.mark.file_ledger("reads the tables of a file")
def test_what_remains_is_what_duplicates_sums_and_the_journal_need(program: Program, emulate: Emulate) -> None:
    """Every column of the batch, its orders and its gifts that still holds something is one of those documented."""
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(2))
    issue(program, path)
    assert 0 == program(*PRUNE).code
    remains = {
        "batch": "id environment name name_key named source shape fingerprint account columns delimiter bom file"
        " system_user host created_at shown_at pruned_at",
        "purchase": "id batch_id environment position generation idempotency_key own_key body_sha256 mode currency"
        " total item_count account state prepared_at first_sent_at settled_at order_id http_status request_id"
        " same_errors superseded read_back sent_by proposal_id",
        "gift": "id purchase_id slot row same_gift reference_key alike payee payee_reference products cost"
        " recipient_key carried item",  # these two are empty
    }
    with closing(sqlite3.connect(program.ledger)) as connection:
        connection.row_factory = sqlite3.Row
        for table, columns in remains.items():
            for row in connection.execute(f"SELECT * FROM {table}"):
                held = {name for name, value in dict(row).items() if value not in {None, "", b""}}
                assert set() == held - {*columns.split()}
        assert [("[]", "{}")] == [tuple(row) for row in connection.execute("SELECT DISTINCT carried, item FROM gift")]


@pytest.mark.file_ledger("searches the files")
def test_an_error_that_quotes_an_address_is_pruned_with_it(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(program.home / "gifts.csv", [{**gifts(1)[0], "face_value": "900000000"}])
    assert 5 == issue(program, path, "--no-preflight").code
    with closing(sqlite3.connect(program.ledger)) as connection, connection:
        connection.execute("UPDATE purchase SET error_text = 'fred@example.com is not an address'")
    assert 0 == program(*PRUNE).code
    assert b"fred@example.com" not in all_bytes(program)
