"""`audit --journal` follows the journal of a ledger, and finds what was changed past the program."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.postgres import Database
from tests.support.program import GIFT, Program

AUDIT = ("audit", "--journal", "--json")


def told(program: Program) -> list[tuple[str, dict[str, Any]]]:
    """Return the kinds of the events after the first, with what they say."""
    rows = program.sql("SELECT kind, facts FROM event WHERE id > 1 ORDER BY id")
    return [(kind, json.loads(facts)) for kind, facts in rows]


def test_the_head_that_is_printed_is_found_later(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "one").code
    first = program(*AUDIT).json
    assert (5, True, []) == (first["events"], first["intact"], first["problems"])
    assert 0 == program(*GIFT, "--batch", "two", "--again").code
    again = program(*AUDIT, "--head", first["head"])
    assert (0, [{"head": first["head"], "event": 5}]) == (again.code, again.json["found"])
    shown = program("audit", "--journal")
    assert 0 == shown.code
    assert again.json["head"] in shown.out
    assert "Keep the head elsewhere" in shown.err


@pytest.mark.file_ledger("changes the file")
def test_a_changed_journal_exits_with_10_and_says_where(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "one").code
    head = program(*AUDIT).json["head"]
    with closing(sqlite3.connect(program.ledger)) as connection, connection:
        connection.execute("DROP TRIGGER event_is_not_changed")
        connection.execute("UPDATE event SET system_user = 'somebody' WHERE kind = 'order.sent'")
    ran = program(*AUDIT, "--head", head)
    assert (10, "journal_differs", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert ["Event 3 (order.sent) is not the one that was recorded."] == ran.json["problems"]


def test_a_head_of_another_ledger_is_not_found(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "one").code
    ran = program(*AUDIT, "--head", "a" * 64)
    assert 10 == ran.code
    assert "restored from a backup" in ran.json["problems"][0]
    assert 2 == program(*AUDIT, "--head", "abc").code


@pytest.mark.parametrize("point", ["call:LedgerWriter._add", "return:LedgerWriter._add", "return:Orders.mark_sent"])
def test_a_kill_leaves_neither_an_event_without_its_change_nor_the_reverse(
    program: Program, emulate: Emulate, point: str
) -> None:
    emulate()
    program.killed_at(point, *GIFT, "--batch", "one")
    sent = program.sql("SELECT count(*) FROM purchase WHERE state = 'sent'")
    assert sent == program.sql("SELECT count(*) FROM event WHERE kind = 'order.sent'")
    assert program.sql("SELECT count(*) FROM batch") == program.sql(
        "SELECT count(*) FROM event WHERE kind = 'batch.recorded'"
    )
    assert 0 == program(*GIFT, "--batch", "one").code
    assert (0, True) == (program(*AUDIT).code, program(*AUDIT).json["intact"])


def test_who_reads_links_is_an_event_before_they_are_shown(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "one").code
    before = len(told(program))
    item = program("gift", "list", "--json").json[0]["item_id"]
    for command in (
        ("batch", "export", "one"),
        ("batch", "cards", "one", "--to", "cards.html"),
        ("gift", "list", "--batch", "one"),
        ("gift", "get", item),
        ("batch", "show", "one", "-o", "links"),
        ("batch", "list", "-o", "links"),
    ):
        assert 0 == program(*command).code
    read_by = [facts["command"] for kind, facts in told(program)[before:] if kind == "links.read"]
    assert ["gift list", "batch export", "batch cards", "gift list", "gift get", "batch show", "batch list"] == read_by
    assert 0 == program("batch", "show", "one").code  # without links
    assert "batch list" == told(program)[-1][1]["command"]


def test_no_event_names_a_recipient_and_a_prune_keeps_the_chain(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(program.home / "gifts.csv", gifts(3))
    assert 0 == program("order", "create", "--file", str(path), "--batch", "bonus").code
    links = program("batch", "export", "bonus", "-o", "links").out.split()
    text = str(told(program))
    assert [] == [each for each in (*links, "person1@example.com", "person1", "E00001", "gifts.csv") if each in text]
    head = program(*AUDIT).json["head"]
    assert 0 == program("batch", "prune", "--older-than", "0", "--yes").code
    ran = program(*AUDIT, "--head", head)
    assert (0, True, 1) == (ran.code, ran.json["intact"], len(ran.json["found"]))
    assert "batch.pruned" == told(program)[-1][0]


@pytest.mark.file_ledger("it has one of its own")
def test_a_journal_goes_to_a_server_and_is_checked_there(
    program: Program, emulate: Emulate, database: Database
) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "one").code
    head = program(*AUDIT).json["head"]
    server = {"RUNA_LEDGER": database.url}
    assert 0 == program("ledger", "copy", "--from", str(program.ledger), **server).code
    assert 0 == program(*GIFT, "--batch", "two", "--again", **server).code
    ran = program(*AUDIT, "--head", head, **server)
    assert (0, True, 1) == (ran.code, ran.json["intact"], len(ran.json["found"]))
    kinds = [kind for (kind,) in database.run("SELECT kind FROM event ORDER BY id")]
    assert ["ledger.copied", "batch.recorded", "order.sent", "order.completed", "batch.shown"] == kinds[5:]
    database.run("SET session_replication_role = replica; DELETE FROM event WHERE id = 7")
    assert 10 == program(*AUDIT, **server).code


def test_a_ledger_without_orders_has_nothing_to_check(program: Program) -> None:
    ran = program(*AUDIT, "--env", "local")
    assert (0, 0, None) == (ran.code, ran.json["events"], ran.json["head"])
