"""A ledger that lost orders is closed until they are read back: nobody is paid twice, and no link changes hands."""

import json
import os
import shutil
import sqlite3
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runa_cli.emulator.server import Emulator
from tests.conftest import Emulate
from tests.support.csv_files import LINKS, STAFF, links_of, rows_of
from tests.support.postgres import Server
from tests.support.program import GIFT, KEY, Program, behave, links_at, orders_at, posts
from tests.support.ran import Ran

CREATE = ("order", "create", "--product", "AMZ-US", "-o", "csv", "--no-preflight")


@dataclass
class Machine:
    """A program whose ledger can be put back to what it was before."""

    program: Program
    emulator: Emulator
    server: Server | None

    def issue(self, text: str, *arguments: str, **env: str) -> Ran:
        """Issue what a CSV file holds."""
        path = self.program.home / "gifts.csv"
        path.write_text(text)
        return self.program(*CREATE, "--file", str(path), *arguments, **env)

    def killed_at(self, point: str, text: str, *arguments: str) -> None:
        """Kill the create of a CSV file at a point of the code."""
        path = self.program.home / "gifts.csv"
        path.write_text(text)
        assert -9 == self.program.killed_at(point, *CREATE, "--file", str(path), *arguments).code

    def back_up(self) -> None:
        """Copy the ledger as it is now, in place of an earlier copy."""
        if self.program.database is not None:
            assert self.server is not None
            self.server.run(f"DROP DATABASE IF EXISTS {self.program.database.name}_copy")
            self.server.run(f"CREATE DATABASE {self.program.database.name}_copy TEMPLATE {self.program.database.name}")
            return
        copy = self.program.home / "copy.db"
        copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.program.ledger)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)

    def restore(self) -> None:
        """Put the copy in the place of the ledger, and forget what came after."""
        if self.program.database is not None:
            assert self.server is not None
            name = self.program.database.name
            self.server.run(f"DROP DATABASE {name}")
            self.server.run(f"CREATE DATABASE {name} TEMPLATE {name}_copy")
            self.program.database.end_leases()
            return
        for part in self.program.ledger.parent.glob("ledger.db*"):
            part.unlink()
        shutil.copy(self.program.home / "copy.db", self.program.ledger)

    def check(self, *arguments: str, **env: str) -> Ran:
        """Check the ledger."""
        return self.program("ledger", "check", "--json", *arguments, **env)

    def fetched(self) -> int:
        """Count how often a single order was asked for."""
        return sum(method == "GET" and "/order/O-" in target for method, target, _ in self.emulator.requests)


@pytest.fixture
def machine(program: Program, emulate: Emulate, request: pytest.FixtureRequest) -> Machine:
    """Return a program that has issued one batch, of which there is a copy."""
    server = request.getfixturevalue("postgres") if program.database else None
    made = Machine(program, emulate(processing_seconds=0), server)
    assert 0 == program(*GIFT, "--batch", "before").code
    made.back_up()
    return made


def post(emulator: Emulator, metadata: dict[str, str] | None, items: list[Any], key: str = "another program's") -> None:
    """Make an order as another program would."""
    order = {"payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"}, "items": items, "metadata": metadata}
    headers = {"X-Api-Key": KEY, "X-Idempotency-Key": key, "X-Execution-Mode": "async"}
    request = urllib.request.Request(f"{emulator.url}/order", json.dumps(order).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status in {200, 202}


def item(value: int, email: str | None = None) -> dict[str, Any]:
    method = {"type": "EMAIL", "email_address": email} if email else {"type": "PAYOUT_LINK"}
    return {"face_value": value, "distribution_method": method, "products": {"type": "SINGLE", "value": "AMZ-US"}}


# --- closed, read back, open ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [STAFF, LINKS], ids=["mailed", "links"])
@pytest.mark.parametrize("name", [("--batch", "bonus"), ()], ids=["named", "unnamed"])
def test_a_batch_that_the_ledger_never_heard_of_is_as_if_it_was_issued_from_it(
    machine: Machine, text: str, name: tuple[str, ...]
) -> None:
    issued = machine.issue(text, *name)
    assert 0 == issued.code, issued.err
    machine.restore()
    refused = machine.issue(text, *name, "-o", "json")
    assert (4, "ledger_went_backwards", "not_issued") == (refused.code, refused.error["code"], refused.error["money"])
    assert "`runa ledger check`" in refused.error["hint"]
    checked = machine.check()
    assert (0, True) == (checked.code, checked.json["open"]), checked.err
    (found,) = checked.json["batches"]
    assert (1, 0, 3, {"USD": "90.00"}) == tuple(found[key] for key in ("adopted", "settled", "gifts", "money"))
    exported = machine.program("batch", "export", found["batch"], "-o", "links")
    assert set(links_of(issued).values()) == set(exported.out.split())
    assert 4 == len(machine.program("gift", "list", "--json").json)
    planned = machine.issue(text, *name, "--dry-run")
    again = machine.issue(text, *name)
    assert (0, 0) == (planned.code, again.code), again.err
    assert links_of(issued) == links_of(again)
    assert 2 == posts(machine.emulator)


@pytest.mark.parametrize("point", ["return:Batches.record", "call:Client.create_order", "return:Client.create_order"])
def test_an_order_that_was_recorded_before_settles_with_its_references(machine: Machine, point: str) -> None:
    """It was never sent as far as the copy knows, or its outcome was unknown; Runa has completed it since."""
    machine.killed_at(point, LINKS, "--batch", "bonus", "-q")
    machine.back_up()
    issued = machine.issue(LINKS, "--batch", "bonus")
    assert 0 == issued.code, issued.err
    sent = posts(machine.emulator)
    machine.restore()
    assert ["completed", "completed"] != machine.program.states()
    (found,) = machine.check().json["batches"]
    assert ("bonus", 0, 1) == (found["batch"], found["adopted"], found["settled"])
    assert ["completed", "completed"] == machine.program.states()
    assert links_of(issued) == links_of(machine.program("batch", "export", "bonus", "-o", "csv"))
    assert links_of(issued) == links_of(machine.issue(LINKS, "--batch", "bonus"))
    assert sent == posts(machine.emulator)


@pytest.mark.parametrize("point", ["return:Batches.record", "call:Client.create_order", None])
def test_an_order_that_was_issued_under_its_next_key_settles_with_its_references(
    machine: Machine, point: str | None
) -> None:
    """Runa rejected it under the key that the copy knows. The copy may not know of the rejection."""
    if point:
        machine.killed_at(point, LINKS, "--batch", "bonus")
        machine.back_up()
    behave(machine.emulator, "no-funds@*")
    assert 5 == machine.issue(LINKS, "--batch", "bonus").code
    if point is None:
        machine.back_up()
    behave(machine.emulator)
    issued = machine.issue(LINKS, "--batch", "bonus")
    assert 0 == issued.code, issued.err
    sent = posts(machine.emulator)
    machine.restore()
    checked = machine.check()
    assert 0 == checked.code, checked.err
    assert links_of(issued) == links_of(machine.program("batch", "export", "bonus", "-o", "csv"))
    assert links_of(issued) == links_of(machine.issue(LINKS, "--batch", "bonus"))
    assert sent == posts(machine.emulator)


def test_what_was_read_back_is_refused_as_a_duplicate(machine: Machine) -> None:
    assert 0 == machine.issue(STAFF).code
    machine.restore()
    assert 0 == machine.check().code
    other = machine.issue("face_value,email\n25,Ann@Example.com\n15,dan@example.com\n", "-o", "json")
    assert (6, "duplicate") == (other.code, other.error["code"])
    assert 2 == posts(machine.emulator)


def test_nothing_else_opens_the_ledger_while_a_check_is_unfinished(machine: Machine) -> None:
    """Each order that is read back is a change: their number must not pass for that of the lost ones."""
    for number in range(6):
        assert 0 == machine.issue(STAFF, "--batch", f"batch {number}").code
    machine.restore()
    assert -9 == machine.program.killed_at("return:Batches.add_read_back", "ledger", "check").code
    for command in ((), ("--dry-run",)):
        refused = machine.issue(STAFF, "--batch", "new", *command, "-o", "json")
        assert (4, "ledger_went_backwards", "not_issued") == (
            refused.code, refused.error["code"], refused.error["money"],
        )  # fmt: skip
    assert 4 == machine.program("batch", "resume", "--all").code
    assert 0 == machine.program("batch", "list").code  # what is there can be seen
    assert 0 == machine.check().code
    assert 7 == posts(machine.emulator)


def test_a_check_that_begins_meanwhile_keeps_a_create_from_sending(machine: Machine) -> None:
    """It was let through before, and another machine may have noticed the loss."""
    path = machine.program.home / "gifts.csv"
    path.write_text(STAFF)
    create = machine.program.paused_at("call:Orders.mark_sent", *CREATE, "--file", str(path), "--batch", "bonus")
    assert create.pauses()
    assert (
        130 == machine.program.fork("ledger", "check", "--read-back", interrupted_at="return:Ledger.begin_check").code
    )
    create.go_on()
    ended = create.end()
    assert (4, 1) == (ended.code, posts(machine.emulator)), ended.err
    assert 0 == machine.check().code
    assert (0, 2) == (machine.issue(STAFF, "--batch", "bonus").code, posts(machine.emulator))


def test_a_check_that_was_killed_goes_on_where_it_was(machine: Machine) -> None:
    for number in range(12):
        assert 0 == machine.issue(STAFF, "--batch", f"batch {number}").code
    machine.restore()
    before = machine.fetched()
    assert -9 == machine.program.killed_at("return:Batches.add_read_back", "ledger", "check").code
    recorded = len(machine.program.states()) - 1
    assert recorded
    first = machine.fetched() - before
    checked = machine.check()
    assert (0, 12 - recorded) == (checked.code, checked.json["read"])
    assert 12 - recorded == machine.fetched() - before - first
    assert 13 == len(machine.program.states())
    assert [f"batch {number}" for number in range(12)] == sorted(
        (batch["batch"] for batch in checked.json["batches"]), key=lambda name: int(name.removeprefix("batch "))
    )


def test_an_order_that_is_not_recorded_is_not_read_again_either(machine: Machine) -> None:
    for number in range(3):
        post(machine.emulator, None, [item(10, "zoe@example.com")], f"key {number}")
    assert 0 == machine.program(*GIFT, "--batch", "lost", "--again").code
    machine.restore()
    assert 6 == machine.check().code
    before = machine.fetched()
    assert 0 == machine.check("--unstamped", "leave").code
    assert 0 == machine.fetched() - before


def test_a_network_that_is_cut_in_the_middle_leaves_the_ledger_closed(
    program: Program, emulate: Emulate, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres") if program.database else None
    # Orders of one gift are answered at once, so that only the check fetches orders.
    machine = Machine(program, emulate("get-lost@4-100", processing_seconds=0), server)
    assert 0 == program(*GIFT, "--batch", "before").code
    machine.back_up()
    for number in range(6):
        assert 0 == program(*GIFT, "--batch", f"batch {number}", "--again").code
    machine.restore()
    cut = machine.check("--quiet")
    assert (7, "not_issued", False) == (cut.code, cut.error["money"], cut.json["open"]), cut.err
    assert "goes on where it was" in cut.error["hint"]
    assert 4 == program(*GIFT, "--batch", "new", "--again").code
    assert 7 == posts(machine.emulator)


def test_ctrl_c_leaves_what_was_read(machine: Machine) -> None:
    for number in range(4):
        assert 0 == machine.program(*GIFT, "--batch", f"batch {number}", "--again").code
    machine.restore()
    ran = machine.program.fork("ledger", "check", "--json", interrupted_at="return:Batches.add_read_back")
    assert (130, "interrupted", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    checked = machine.check()
    assert (0, 3) == (checked.code, checked.json["read"])


def test_an_order_that_runa_still_processes_keeps_the_ledger_closed(
    program: Program, emulate: Emulate, request: pytest.FixtureRequest
) -> None:
    """Until it settles, Runa does not show whose it is."""
    server = request.getfixturevalue("postgres") if program.database else None
    machine = Machine(program, emulate(processing_seconds=600), server)
    assert 0 == program(*GIFT, "--batch", "before").code
    machine.back_up()
    assert 0 == machine.issue(STAFF, "--batch", "bonus", "--mode", "async", "--no-wait").code
    machine.restore()
    checked = machine.check()
    assert (7, "still_processing", 1) == (checked.code, checked.error["code"], len(checked.json["unsettled"]))
    assert 4 == machine.issue(STAFF, "--batch", "bonus").code
    program.time.sleep(600)
    assert 0 == machine.check().code
    assert (0, 2) == (machine.issue(STAFF, "--batch", "bonus").code, posts(machine.emulator))


# --- what cannot be told --------------------------------------------------------------------------------------------


def test_orders_without_a_stamp_are_for_a_person_to_decide_about(machine: Machine) -> None:
    assert 0 == machine.issue(STAFF, "--no-stamp").code
    machine.restore()
    refused = machine.check()
    assert (6, "unstamped_orders", "not_issued") == (
        refused.code, refused.error["code"], refused.error["money"],
    )  # fmt: skip
    (left,) = refused.json["in_doubt"]
    assert ("unstamped", 3, {"USD": "90.00"}) == (left["reason"], left["gifts"], left["money"])
    assert left["order_id"] in refused.error["message"]
    assert 4 == machine.issue(STAFF).code


@pytest.mark.parametrize(("choice", "code", "count"), [("adopt", 6, 2), ("leave", 0, 3)])
def test_orders_without_a_stamp_are_recorded_or_left_as_a_person_says(
    machine: Machine, choice: str, code: int, count: int
) -> None:
    assert 0 == machine.issue(STAFF, "--no-stamp").code
    machine.restore()
    assert 0 == machine.check("--unstamped", choice).code
    ran = machine.issue("face_value,email\n25,ann@example.com\n1,dan@example.com\n")
    assert (code, count) == (ran.code, posts(machine.emulator)), ran.err


@pytest.mark.parametrize("name", [("--batch", "bonus"), ()], ids=["named", "unnamed"])
def test_links_whose_labels_nothing_proves_are_never_shown_beside_one_and_never_made_again(
    machine: Machine, name: tuple[str, ...]
) -> None:
    """A version that stamped no digest of labels has sent them."""
    path = machine.program.home / "gifts.csv"
    path.write_text(LINKS)
    planned = machine.program(*CREATE[:4], "--file", str(path), *name, "--dry-run", "--no-stamp", "--json").json
    batch = "bonus" if name else "2026-11-30-0123456789"
    post(machine.emulator, {"runa_cli_key": "old key", "runa_cli_batch": batch}, planned[0]["body"]["items"])
    assert 0 == machine.program(*GIFT, "--batch", "lost", "--again").code
    machine.restore()
    assert 0 == machine.check().code
    made = posts(machine.emulator)
    for text in (LINKS, "face_value,reference\n25,E003\n40,E001\n25,E002\n", LINKS + "25,E004\n"):
        for arguments in (name, (), (*name, "--dry-run")):
            refused = machine.issue(text, *arguments)
            assert 6 == refused.code, refused.err
            assert not set(refused.out.split()) & links_at(machine.emulator)
    assert made == posts(machine.emulator)
    exported = rows_of(machine.program("batch", "export", batch, "-o", "csv").out)
    assert {""} == {row["reference"] for row in exported}
    assert 0 == machine.issue("face_value,reference\n15,E009\n").code  # another value is another gift
    if not name:
        assert 0 == machine.issue(LINKS, "--again").code


@pytest.mark.parametrize("name", [("--batch", "bonus"), ()], ids=["named", "unnamed"])
def test_links_are_not_given_to_references_in_another_order(machine: Machine, name: tuple[str, ...]) -> None:
    """The order's key proves its content, and its digest the order of its references."""
    issued = machine.issue(LINKS, *name)
    machine.restore()
    assert 0 == machine.check().code
    for text in (LINKS.replace("E001", "X").replace("E002", "E001").replace("X", "E002"), LINKS.replace("E001", "E9")):
        refused = machine.issue(text, *name, "-o", "json")
        assert (6, "links_in_doubt") == (refused.code, refused.error["code"])
    assert links_of(issued) == links_of(machine.issue(LINKS, *name))
    assert 2 == posts(machine.emulator)


@pytest.mark.parametrize("by", ["--by-reference", "--batch=other"])
@pytest.mark.parametrize("batch", ["2026-11-30-0123456789", "bonus"], ids=["unnamed", "named"])
def test_a_reference_or_another_name_does_not_make_such_links_again(machine: Machine, by: str, batch: str) -> None:
    """That somebody has looked at the links, as the hint says, does not tell for whom they are."""
    post(machine.emulator, {"runa_cli_key": "k", "runa_cli_batch": batch}, [item(25), item(25)])
    assert 0 == machine.program(*GIFT, "--batch", "lost", "--again").code
    machine.restore()
    assert 0 == machine.check().code
    for look in ((), ("batch", "export", batch), ("gift", "list")):
        if look:
            assert 0 == machine.program(*look).code
        for dry_run in ((), ("--dry-run",)):
            refused = machine.issue(LINKS, by, *dry_run, "-o", "json")
            assert (6, "links_in_doubt") == (refused.code, refused.error["code"])
    assert 3 == posts(machine.emulator)
    assert 0 == machine.issue(LINKS, by, "--again").code


# --- never twice ----------------------------------------------------------------------------------------------------


def test_rows_that_were_edited_and_issued_since_are_not_sent_as_they_were_before(machine: Machine) -> None:
    """The copy holds an order of two gifts that was never sent; an order of three took its place, and was."""
    machine.killed_at("return:Batches.record", STAFF, "--batch", "bonus")
    machine.back_up()
    issued = machine.issue(STAFF + "15,dan@example.com\n", "--batch", "bonus")
    assert 0 == issued.code, issued.err
    machine.restore()
    assert 0 == machine.check().code
    resumed = machine.program("batch", "resume", "bonus", "--json", RUNA_LOOK_BACK="0")
    assert (6, "issued_elsewhere") == (resumed.code, resumed.error["code"])
    assert 6 == machine.issue(STAFF, "--batch", "bonus").code
    assert 6 == machine.issue(STAFF, "--batch", "bonus").code  # nor the second time
    again = machine.issue(STAFF + "15,dan@example.com\n", "--batch", "bonus")
    assert (0, links_of(issued)) == (again.code, links_of(again)), again.err
    assert 2 == posts(machine.emulator)
    assert 0 == machine.program("batch", "resume", "bonus").code
    assert 2 == posts(machine.emulator)


@pytest.mark.parametrize("text", [STAFF, LINKS], ids=["mailed", "links"])
@pytest.mark.parametrize("point", ["return:Batches.record", "call:Client.create_order"])
def test_gifts_that_were_given_up_and_issued_under_another_name_since_are_not_sent(
    machine: Machine, text: str, point: str
) -> None:
    """The copy knows neither that they were given up, nor that they were issued."""
    machine.killed_at(point, text, "--batch", "bonus")
    machine.back_up()
    assert 0 == machine.program("batch", "abandon", "bonus", "--yes").code
    assert 0 == machine.issue(text, "--batch", "again", "--again").code
    machine.restore()
    assert 0 == machine.check().code
    for command in (("batch", "resume", "bonus"), ("batch", "resume", "--all")):
        assert 6 == machine.program(*command).code
    assert 6 == machine.issue(text, "--batch", "bonus").code
    assert 0 == machine.issue(text, "--batch", "again").code
    for command in (("batch", "resume", "bonus"), ("batch", "resume", "--all")):  # nor now that their labels are known
        assert 6 == machine.program(*command).code
    assert 2 == posts(machine.emulator)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("face_value,email,reference\n25,ann@example.com,R1\n25,ben@example.com,R2\n", "15,dan@example.com,R4\n"),
        (LINKS, "15,E004\n"),
    ],
    ids=["mailed", "links"],
)
@pytest.mark.parametrize(
    ("by", "point"),
    [((), "call:Client.create_order"), (("--by-reference",), "return:Batches.record")],
    ids=["list", "stream"],
)
def test_gifts_that_were_given_up_and_issued_in_the_same_batch_since_are_not_sent(
    machine: Machine, text: str, more: str, by: tuple[str, ...], point: str
) -> None:
    """Neither before nor after a file has told what was read back."""
    name = ("--batch", "bonus", *by)
    machine.killed_at(point, text, *name)
    machine.back_up()
    assert 0 == machine.program("batch", "abandon", "bonus", "--yes").code
    issued = machine.issue(text + more, *name, "--again")
    assert issued.code in {0, 8}, issued.err  # the order that was given up is still part of a list
    sent = posts(machine.emulator)
    machine.restore()
    assert 0 == machine.check().code
    resumes = (("batch", "resume", "bonus"), ("batch", "resume", "--all"))
    for command in resumes:
        assert machine.program(*command).code in {6, 8}
    for file in (text, text + more, text):
        machine.issue(file, *name)
        for command in resumes:
            machine.program(*command)
    assert sent == posts(machine.emulator)
    links = set(machine.program("batch", "export", "bonus", "-o", "links").out.split())
    assert {link for link in links_of(issued).values() if link} <= links


def test_pruning_links_does_not_tell_for_whom_they_were_made(machine: Machine) -> None:
    post(machine.emulator, {"runa_cli_key": "k", "runa_cli_batch": "bonus"}, [item(25), item(25)])
    assert 0 == machine.program(*GIFT, "--batch", "lost", "--again").code
    machine.restore()
    assert 0 == machine.check().code
    assert 0 == machine.program("batch", "export", "bonus").code
    assert 0 == machine.program("batch", "prune", "bonus", "--older-than", "0", "--yes").code
    refused = machine.issue(LINKS, "--batch", "other", "-o", "json")
    assert (6, "links_in_doubt") == (refused.code, refused.error["code"])


def test_a_batch_of_which_a_part_was_issued_goes_on_with_the_rest(machine: Machine) -> None:
    text = "description,face_value,reference\n" + "\n".join(f"part {n},25,E{n}" for n in range(4))
    machine.killed_at("call:Orders.mark_completed", text, "--batch", "bonus")
    machine.program.time.sleep(120)
    issued = len(orders_at(machine.emulator)) - 1
    machine.restore()
    assert 0 == machine.check().code
    ran = machine.issue(text, "--batch", "bonus")
    assert (0, 4) == (ran.code, len(set(links_of(ran).values()))), ran.err
    assert 1 <= issued < 5
    assert 5 == len(orders_at(machine.emulator))


def test_references_of_a_stream_are_issued_once(machine: Machine) -> None:
    rows = "face_value,email,reference\n25,ann@example.com,E001\n40,cem@example.com,E003\n"
    issued = machine.issue(rows, "--by-reference", "--batch", "stream")
    assert 0 == issued.code, issued.err
    machine.restore()
    assert 0 == machine.check().code
    again = machine.issue(rows, "--by-reference", "--batch", "stream")
    assert (0, links_of(issued)) == (again.code, links_of(again)), again.err
    other = machine.issue(rows + "15,dan@example.com,E004\n", "--by-reference", "--batch", "stream")
    assert (0, 3) == (other.code, posts(machine.emulator)), other.err


@pytest.mark.parametrize("name", [(), ("--batch", "stream")])
def test_a_stream_that_grew_after_the_backup_is_known_again(machine: Machine, name: tuple[str, ...]) -> None:
    """The copy knows the first reference; the order that is read back was made of the second one alone."""
    first = "face_value,email,reference\n25,ann@example.com,E001\n"
    assert 0 == machine.issue(first, "--by-reference", *name).code
    machine.back_up()
    issued = machine.issue(first + "40,cem@example.com,E003\n", "--by-reference", *name)
    assert 0 == issued.code, issued.err
    machine.restore()
    assert 0 == machine.check().code
    again = machine.issue(first + "40,cem@example.com,E003\n", "--by-reference", *name)
    assert (0, links_of(issued)) == (again.code, links_of(again)), again.err
    other = machine.issue(first + "40,cem@example.com,E003\n15,dan@example.com,E004\n", "--by-reference", *name)
    assert (0, 4) == (other.code, posts(machine.emulator)), other.err


def test_a_setting_for_look_ups_does_not_limit_what_is_read_back(machine: Machine) -> None:
    assert 0 == machine.issue(STAFF, "--batch", "bonus").code
    machine.program.time.sleep(timedelta(days=100).total_seconds())
    machine.restore()
    assert 1 == len(machine.check(RUNA_LOOK_BACK="1").json["batches"])
    assert (0, 2) == (machine.issue(STAFF, "--batch", "bonus").code, posts(machine.emulator))


# --- other ledgers, accounts and environments -----------------------------------------------------------------------


def test_what_another_ledger_issued_without_a_name_is_not_recorded(machine: Machine, tmp_path: Path) -> None:
    """A later list of the same gifts from here is another list, as it was before."""
    home = tmp_path / "second"
    home.mkdir()
    second = Machine(machine.program.elsewhere(home), machine.emulator, machine.server)
    assert 0 == second.issue(STAFF).code
    assert 0 == machine.issue("face_value,email\n15,dan@example.com\n").code
    machine.restore()
    checked = machine.check()
    assert (0, 1, ["another ledger's"]) == (
        checked.code, len(checked.json["batches"]), [order["reason"] for order in checked.json["not_recorded"]],
    )  # fmt: skip
    assert 0 == machine.issue(STAFF).code
    assert 4 == posts(machine.emulator)


def test_what_another_ledger_issued_under_a_name_of_this_one_keeps_nothing_from_being_shown(
    machine: Machine, tmp_path: Path
) -> None:
    home = tmp_path / "second"
    home.mkdir()
    second = Machine(machine.program.elsewhere(home), machine.emulator, machine.server)
    issued = machine.issue(LINKS, "--batch", "bonus")
    machine.back_up()
    others = "face_value,reference\n25,X001\n40,X002\n"
    assert 0 == second.issue(others, "--batch", "bonus", "--no-lookup").code
    assert 0 == machine.program(*GIFT, "--batch", "lost", "--again").code
    machine.restore()
    assert 0 == machine.check().code
    for _ in range(2):
        again = machine.issue(LINKS, "--batch", "bonus")
        assert 0 == again.code, again.err
        shown = links_of(again)
        assert links_of(issued).items() <= shown.items()
        assert {"", *links_of(issued)} == set(shown)
    more = machine.issue(LINKS + "15,E004\n", "--batch", "bonus")
    assert 6 == more.code, more.err
    assert 4 == posts(machine.emulator)


def test_another_environment_stays_closed_until_it_is_checked(machine: Machine) -> None:
    playground = {"RUNA_ENV": "playground", "RUNA_API_KEY": KEY}
    assert 0 == machine.program(*GIFT, "--batch", "there", **playground).code
    machine.restore()
    checked = machine.check()
    assert (0, ["live", "playground"]) == (checked.code, checked.json["closed"])
    assert 0 == machine.program(*GIFT, "--batch", "here", "--again").code
    closed = machine.program(*GIFT, "--batch", "there", "--json", **playground)
    assert (4, "ledger_went_backwards") == (closed.code, closed.error["code"])
    assert "ledger check --env playground" in closed.error["hint"]
    assert ["live"] == machine.check(**playground).json["closed"]
    assert 0 == machine.program(*GIFT, "--batch", "there", **playground).code


def test_another_account_stays_closed_and_a_rotated_key_does_not(machine: Machine) -> None:
    """The emulator has one account: whatever the key, it is the same one."""
    first, rotated = ({"RUNA_ENV": "playground", "RUNA_API_KEY": f"{name}.secret"} for name in ("xxfirst", "xxsecond"))
    assert 0 == machine.program(*GIFT, "--batch", "there", **first).code
    machine.back_up()
    assert 0 == machine.program(*GIFT, "--batch", "lost", "--again", **first).code
    machine.restore()
    checked = machine.check(**rotated)
    assert (0, ["xxfirst", "xxsecond"], []) == (
        checked.code, checked.json["accounts"], checked.json["other_accounts"],
    )  # fmt: skip
    third = machine.program(*GIFT, "--batch", "more", "--again", "--json", RUNA_ENV="playground", RUNA_API_KEY="xxt.s")
    assert (4, "ledger_went_backwards") == (third.code, third.error["code"])


def test_a_newer_copy_that_turns_up_is_behind_what_was_issued_since_the_check(machine: Machine) -> None:
    for number in range(3):
        assert 0 == machine.program(*GIFT, "--batch", f"batch {number}", "--again").code
    if machine.program.database is None:
        shutil.copy(machine.program.ledger, machine.program.home / "newer.db")
    machine.restore()
    assert 0 == machine.check().code
    assert 0 == machine.program(*GIFT, "--batch", "since", "--again").code
    if machine.program.database is None:
        for part in machine.program.ledger.parent.glob("ledger.db*"):
            part.unlink()
        shutil.copy(machine.program.home / "newer.db", machine.program.ledger)
        assert 4 == machine.program(*GIFT, "--batch", "since", "--again").code
        assert ["since"] == [batch["batch"] for batch in machine.check().json["batches"]]


# --- only what may be missing is read -------------------------------------------------------------------------------


@pytest.mark.file_ledger("it sets the time of its mark")
@pytest.mark.parametrize(("before", "lost"), [(1, 1), (4, 20)])
def test_orders_from_before_the_copy_are_not_taken_for_lost_ones(machine: Machine, before: int, lost: int) -> None:
    """They were made by others: the copy knows everything of its own that was issued before its last order."""
    program = machine.program
    post(machine.emulator, None, [item(10, "zoe@example.com")], "before")
    program.time.sleep(timedelta(days=10).total_seconds())
    for number in range(before):
        assert 0 == program(*GIFT, "--batch", f"later {number}", "--again").code
    machine.back_up()
    program.time.sleep(timedelta(days=10).total_seconds())
    for number in range(lost):
        assert 0 == program(*GIFT, "--batch", f"lost {number}", "--again").code
    written = (datetime.now(UTC) + timedelta(days=20)).timestamp()
    os.utime(program.mark, (written, written))
    machine.restore()
    checked = machine.check()
    found = {batch["batch"] for batch in checked.json["batches"]}
    assert (0, {f"lost {number}" for number in range(lost)}) == (checked.code, found), checked.err
    assert (lost, []) == (checked.json["read"], checked.json["in_doubt"])


@pytest.mark.file_ledger("it sets the time of its mark")
def test_a_copy_that_was_used_after_the_others_were_lost_is_read_back_from_before_that(machine: Machine) -> None:
    """What it has issued itself since does not tell until when it knew everything."""
    program = machine.program
    assert 0 == program(*GIFT, "--batch", "lost", "--again").code
    lost_at = (datetime.now(UTC) + timedelta(days=2)).timestamp()
    kept = program.home / ".local/state"
    machine.restore()
    kept.rename(program.home / "state")
    program.time.sleep(timedelta(days=20).total_seconds())
    assert 0 == program(*GIFT, "--batch", "elsewhere", "--again").code  # with no mark to tell
    shutil.rmtree(kept)
    (program.home / "state").rename(kept)
    mark = json.loads(program.mark.read_text())
    program.mark.write_text(program.mark.read_text().replace(f"{mark['changes']:>15}", f"{mark['changes'] + 99:>15}"))
    os.utime(program.mark, (lost_at, lost_at))
    assert ["lost"] == [batch["batch"] for batch in machine.check().json["batches"]]


# --- lost marks and broken files ------------------------------------------------------------------------------------


def test_a_copy_without_a_mark_is_read_back_when_a_person_asks_for_it(machine: Machine) -> None:
    assert 0 == machine.issue(STAFF, "--batch", "bonus").code
    machine.restore()
    machine.program.mark.unlink()
    healthy = machine.check()
    assert (0, True, []) == (healthy.code, healthy.json["open"], healthy.json["batches"])
    checked = machine.check("--read-back")
    assert (0, ["bonus"]) == (checked.code, [batch["batch"] for batch in checked.json["batches"]])
    assert (0, 2) == (machine.issue(STAFF, "--batch", "bonus").code, posts(machine.emulator))


def test_a_damaged_mark_is_written_anew(machine: Machine) -> None:
    assert 0 == machine.issue(STAFF, "--batch", "bonus").code
    machine.restore()
    machine.program.mark.write_text("{")
    assert 4 == machine.issue(STAFF, "--batch", "bonus").code
    assert ["bonus"] == [batch["batch"] for batch in machine.check().json["batches"]]
    assert (0, 2) == (machine.issue(STAFF, "--batch", "bonus").code, posts(machine.emulator))
    assert 1 == json.loads(machine.program.mark.read_text())["checks"]


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _overwritten(path: Path) -> None:
    path.write_bytes(b"no database at all " * 1000)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.file_ledger("it damages the file")
@pytest.mark.parametrize("damage", [_empty, _overwritten, _cut])
def test_a_broken_file_is_set_aside_and_everything_is_read_back(
    machine: Machine, damage: Callable[[Path], None]
) -> None:
    """Only if a person says so: a backup has the references, and Runa has none."""
    issued = machine.issue(STAFF, "--batch", "bonus")
    unnamed = machine.issue("face_value,email\n15,dan@example.com\n")
    damage(machine.program.ledger)
    broken = machine.program.ledger.read_bytes()
    refused = machine.check()
    assert (4, "ledger_damaged") == (refused.code, refused.error["code"]), refused.err
    assert "Put a backup in its place" in refused.error["hint"]
    assert "--read-back" in refused.error["hint"]
    checked = machine.check("--read-back")
    assert (0, 3) == (checked.code, len(checked.json["batches"])), checked.err
    (kept,) = machine.program.ledger.parent.glob("ledger.db.damaged-*[0-9a-f]")
    assert broken == kept.read_bytes()
    again = machine.issue(STAFF, "--batch", "bonus")
    assert (0, links_of(issued)) == (again.code, links_of(again)), again.err
    again = machine.issue("face_value,email\n15,dan@example.com\n")
    assert (0, links_of(unnamed)) == (again.code, links_of(again)), again.err
    assert 3 == posts(machine.emulator)


@pytest.mark.file_ledger("it deletes the file")
def test_a_ledger_that_is_gone_is_read_back_whole(machine: Machine) -> None:
    assert 0 == machine.issue(STAFF).code
    machine.program.ledger.unlink()
    assert "--read-back" in machine.check().error["hint"]
    assert 2 == len(machine.check("--read-back").json["batches"])
    assert (0, 2) == (machine.issue(STAFF).code, posts(machine.emulator))


def _used_elsewhere(machine: Machine, tmp_path: Path, orders: int) -> None:
    """Let another machine, which knows nothing of this one, issue from the ledger."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    env = machine.program.env if machine.server else {**machine.program.env, "RUNA_LEDGER": str(machine.program.ledger)}
    other = replace(machine.program, home=home, env=env)
    for number in range(orders):
        assert 0 == other(*GIFT, "--batch", f"elsewhere {number}", "--again").code


@pytest.mark.parametrize("orders", [1, 3, 8])
def test_a_copy_that_has_gone_on_by_itself_is_refused_however_far_it_got(
    machine: Machine, tmp_path: Path, orders: int
) -> None:
    """It has counted fewer, as many or more changes than were made here, and lacks them."""
    issued = machine.issue(STAFF)
    assert 0 == issued.code, issued.err
    machine.restore()
    _used_elsewhere(machine, tmp_path, orders)
    sent = posts(machine.emulator)
    refused = machine.issue(STAFF, "-o", "json")
    assert (4, "ledger_went_backwards") == (refused.code, refused.error["code"])
    assert 0 == machine.check().code
    again = machine.issue(STAFF)
    assert (0, links_of(issued), sent) == (again.code, links_of(again), posts(machine.emulator)), again.err
    assert 0 == machine.program(*GIFT, "--batch", "elsewhere 0").code
    assert sent == posts(machine.emulator)


@pytest.mark.file_ledger("it has two of them at once")
def test_what_was_lost_before_a_copy_went_on_is_read_back_too(machine: Machine, tmp_path: Path) -> None:
    """The copy's own orders are newer than those that it lacks."""
    issued = machine.issue(STAFF)
    machine.program.time.sleep(timedelta(days=5).total_seconds())
    kept = tmp_path / "kept.db"
    shutil.copy(machine.program.ledger, kept)
    machine.restore()
    _used_elsewhere(machine, tmp_path, 1)
    shutil.copy(machine.program.ledger, machine.program.home / "copy.db")
    for part in machine.program.ledger.parent.glob("ledger.db*"):
        part.unlink()
    shutil.copy(kept, machine.program.ledger)
    machine.program.time.sleep(timedelta(days=3).total_seconds())
    for number in range(3):
        assert 0 == machine.program(*GIFT, "--batch", f"here {number}", "--again").code
    written = (datetime.now(UTC) + timedelta(days=8)).timestamp()
    os.utime(machine.program.mark, (written, written))
    machine.restore()
    assert 0 == machine.check().code
    again = machine.issue(STAFF)
    assert (0, links_of(issued)) == (again.code, links_of(again)), again.err


@pytest.mark.file_ledger("it is a file")
def test_what_was_issued_from_another_ledger_of_this_machine_is_read_back(machine: Machine, tmp_path: Path) -> None:
    """Under another path: a symbolic link, or a setting, may have led to either of them."""
    issued = machine.issue(STAFF, RUNA_LEDGER=str(tmp_path / "other.db"))
    assert 0 == machine.program(*GIFT, "--batch", "lost", "--again").code
    machine.restore()
    assert 0 == machine.check().code
    again = machine.issue(STAFF)
    assert (0, links_of(issued), 3) == (again.code, links_of(again), posts(machine.emulator)), again.err


@pytest.mark.file_ledger("it is a file")
def test_a_ledger_in_whose_place_another_was_used_is_checked_wherever_it_is_used(
    machine: Machine, tmp_path: Path
) -> None:
    """As it was when it was replaced, it knows nothing of what was issued from the other one."""
    away = tmp_path / "away.db"
    machine.program.ledger.rename(away)
    issued = machine.issue(STAFF)
    refused = machine.issue(STAFF, "-o", "json", RUNA_LEDGER=str(away))
    assert (4, "ledger_went_backwards") == (refused.code, refused.error["code"])
    assert "Set RUNA_LEDGER" not in refused.error["hint"]
    assert 0 == machine.check(RUNA_LEDGER=str(away)).code
    again = machine.issue(STAFF, RUNA_LEDGER=str(away))
    assert (0, links_of(issued), 2) == (again.code, links_of(again), posts(machine.emulator)), again.err


def _damaged_and_read_back(machine: Machine) -> None:
    _overwritten(machine.program.ledger)
    assert 0 == machine.check("--read-back").code


def _gone_and_made_anew(machine: Machine) -> None:
    machine.program.ledger.unlink()


@pytest.mark.file_ledger("it damages the file")
@pytest.mark.parametrize("replace", [_damaged_and_read_back, _gone_and_made_anew])
@pytest.mark.parametrize(("is_behind", "times"), [(False, 1), (True, 2)], ids=["as it was", "behind, twice"])
def test_a_ledger_that_comes_back_reads_what_was_issued_from_the_one_in_its_place(
    machine: Machine, replace: Callable[[Machine], None], times: int, *, is_behind: bool
) -> None:
    """Whichever name that one has made up, and also where an older copy comes back after it was read back once."""
    if is_behind:
        assert 0 == machine.program(*GIFT, "--batch", "lost", "--again").code
    replace(machine)
    issued = machine.issue(STAFF)
    assert 0 == issued.code, issued.err
    sent = posts(machine.emulator)
    for _ in range(times):
        machine.restore()
        assert 4 == machine.issue(STAFF).code
        checked = machine.check()
        assert (0, True) == (checked.code, checked.json["open"]), checked.err
    again = machine.issue(STAFF)
    assert (0, links_of(issued), sent) == (again.code, links_of(again), posts(machine.emulator)), again.err


@pytest.mark.file_ledger("it damages the file")
def test_a_copy_made_during_a_check_lacks_no_less_than_the_check_was_to_read(machine: Machine) -> None:
    machine.program.ledger.unlink()
    issued = machine.issue(STAFF)  # from another ledger, made in its place
    machine.restore()
    assert -9 == machine.program.killed_at("return:Ledger.begin_check", "ledger", "check").code
    machine.back_up()
    shutil.rmtree(machine.program.home / ".local/state")  # which would tell that another one was used
    assert 0 == machine.check().code
    assert 0 == machine.program(*GIFT, "--batch", "lost", "--again").code
    sent = posts(machine.emulator)
    machine.restore()
    assert 0 == machine.check().code
    again = machine.issue(STAFF)
    assert (0, links_of(issued), sent) == (again.code, links_of(again), posts(machine.emulator)), again.err


@pytest.mark.file_ledger("it is a file")
def test_a_file_that_never_was_a_ledger_is_left_where_it_is(program: Program, emulate: Emulate) -> None:
    emulate()
    path = program.home / "letter.txt"
    path.write_text("Dear Ann, " * 1000)
    ran = program("ledger", "check", "--read-back", "--json", RUNA_LEDGER=str(path))
    assert (4, "ledger_unusable", True) == (ran.code, ran.error["code"], path.exists())


def test_a_backup_is_copied_to_a_server_once_it_has_read_back_what_it_lacks(
    program: Program, emulate: Emulate, request: pytest.FixtureRequest
) -> None:
    """Before that, it is refused as the source of a copy."""
    server: Server = request.getfixturevalue("postgres")
    emulator = emulate(processing_seconds=0)
    program.env["RUNA_LEDGER"] = server.database().url
    assert 0 == program(*GIFT, "--batch", "before").code
    backup = program.home / "backup.db"
    assert 0 == program("ledger", "backup", str(backup)).code
    assert 0 == program(*GIFT, "--batch", "lost", "--again").code
    new = {"RUNA_LEDGER": server.database().url}
    assert 4 == program("ledger", "copy", "--from", str(backup), **new).code
    assert 6 == program("ledger", "check", RUNA_LEDGER=str(backup)).code
    assert 0 == program("ledger", "check", "--yes", RUNA_LEDGER=str(backup)).code
    assert 0 == program("ledger", "copy", "--from", str(backup), **new).code
    shown = program(*GIFT, "--batch", "lost", **new)
    assert (0, 2) == (shown.code, posts(emulator)), shown.err


def test_in_live_nothing_is_opened_where_runa_does_not_show_what_the_ledger_knows(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    """Another server, or a proxy that answers for Runa, has no orders that could be missing."""
    emulate()
    live = {"RUNA_ENV": "live", "RUNA_API_KEY": "wgtests.secret"}
    assert 0 == program(*GIFT, "--batch", "before", "--yes", **live).code
    with Emulator(tmp_path / "other.db") as other:
        asked = program("ledger", "check", "--read-back", "--json", **{**live, "RUNA_BASE_URL": other.url})
    assert (7, "not_shown", False) == (asked.code, asked.error["code"], asked.json["open"])
    assert 4 == program(*GIFT, "--batch", "more", "--again", "--yes", **live).code
    assert 0 == program("ledger", "check", **live).code
    assert 0 == program(*GIFT, "--batch", "more", "--again", "--yes", **live).code


# --- a healthy ledger -----------------------------------------------------------------------------------------------


def test_a_healthy_ledger_is_told_to_be_sound_without_a_request(machine: Machine) -> None:
    asked = len(machine.emulator.requests)
    checked = machine.check(RUNA_ENV="playground", RUNA_API_KEY=KEY)
    assert (0, True, True, 1, 1) == (
        checked.code, *(checked.json[name] for name in ("intact", "open", "orders", "gifts")),
    )  # fmt: skip
    assert asked == len(machine.emulator.requests)


def test_a_body_that_was_changed_is_damage(machine: Machine) -> None:
    machine.program.sql("UPDATE purchase SET sent_sha256 = 'another'")
    checked = machine.check()
    assert (4, "ledger_damaged") == (checked.code, checked.error["code"])
    assert "the body of order 1 of batch before was changed" in checked.error["message"]


def test_a_pruned_batch_is_no_damage(machine: Machine) -> None:
    assert 0 == machine.program("batch", "export", "before").code
    machine.program.time.sleep(timedelta(days=90).total_seconds())
    assert 0 == machine.program("batch", "prune", "before", "--yes").code
    assert 0 == machine.check().code


def test_a_copy_of_a_closed_ledger_is_closed(machine: Machine, tmp_path: Path) -> None:
    assert 0 == machine.program(*GIFT, "--batch", "lost", "--again").code
    machine.restore()
    assert -9 == machine.program.killed_at("return:Ledger.begin_check", "ledger", "check").code
    copy = tmp_path / "copy.db"
    assert 0 == machine.program("ledger", "backup", str(copy)).code
    refused = machine.program(*GIFT, "--batch", "lost", "--again", "--json", RUNA_LEDGER=str(copy))
    assert (4, "ledger_went_backwards", 2) == (refused.code, refused.error["code"], posts(machine.emulator))
