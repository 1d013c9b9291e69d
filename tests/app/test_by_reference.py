"""`order create --by-reference`: each reference is issued once, whatever stream, file, batch or order it comes in."""

import json
import os
import random
import sqlite3
import subprocess
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from runa_cli.core.identity import GiftIdentity
from runa_cli.emulator.server import Emulator
from runa_cli.ledger.ledger import Ledger
from tests.conftest import Emulate
from tests.support.csv_files import gifts, rows_of, sheet
from tests.support.fork_server import Start, fork_server
from tests.support.program import Program, behave, links_at, orders_at, posts, wait_for, wait_for_stopping
from tests.support.ran import LONGEST, Ran

CREATE = ("order", "create", "--file", "-", "--format", "jsonl", "--by-reference", "-o", "gifts")
POINTS = (
    "return:Batches.record",
    "return:Orders.mark_sent",
    "return:Client.create_order",
    "return:Orders.mark_accepted",
    "return:Orders.mark_completed",
    "call:Output.json_line",
)


def line(reference: object, value: int = 10, address: str | None = None, product: str = "AMZ-US") -> str:
    item = {
        "reference": reference,
        "face_value": value,
        "distribution_method": {"type": "EMAIL", "email_address": address or f"{reference}@example.com"},
        "products": {"type": "SINGLE", "value": product},
    }
    return json.dumps(item, ensure_ascii=False) + "\n"


def stream(program: Program, lines: Iterable[str], *flags: str) -> Ran:
    return program(*CREATE, *flags, stdin="".join(lines))


def shown(ran: Ran) -> dict[str, dict[str, Any]]:
    """Return the gift of each line by its reference, which no other line has."""
    found = [json.loads(text) for text in ran.out.splitlines()]
    by_reference = {gift["reference"]: gift for gift in found}
    assert len(found) == len(by_reference)
    return by_reference


def links(ran: Ran) -> dict[str, str]:
    return {reference: gift["payout_url"] for reference, gift in shown(ran).items()}


def paid(emulator: Emulator) -> list[str]:
    """Return the address of each gift that was paid for."""
    return sorted(
        item["distribution_method"]["email_address"] for order in orders_at(emulator) for item in order["items"]
    )


def addresses(references: Iterable[str]) -> list[str]:
    return sorted(f"{reference}@example.com" for reference in references)


# --- once ------------------------------------------------------------------------------------------------------------


def test_a_known_reference_shows_its_recorded_result_in_any_order_and_split(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    first = stream(program, map(line, "abc"))
    assert (0, "") == (first.code, first.err)
    again = stream(program, map(line, "dcba"))
    assert 0 == again.code, again.err
    last = stream(program, map(line, "bd"), "-v")
    assert addresses("abcd") == paid(emulator)
    assert {**links(first), "d": links(again)["d"]} == links(again)
    assert {"b": links(first)["b"], "d": links(again)["d"]} == links(last)
    assert {"d": 1, "c": 2, "b": 3, "a": 4} == {gift["reference"]: gift["row"] for gift in shown(again).values()}
    assert 2 == posts(emulator)


def test_a_reference_is_not_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == stream(program, [line("secret-7", address="ann@example.com")]).code
    assert "secret-7" not in json.dumps(orders_at(emulator))


def test_gifts_of_a_batch_from_a_csv_file_are_known_by_their_references(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(3))
    before = program("order", "create", "--file", str(path), "--batch", "bonus", "-o", "gifts")
    path = sheet(path, list(reversed(gifts(4))))
    ran = program("order", "create", "--file", str(path), "--by-reference", "-o", "gifts")
    assert 0 == ran.code, ran.err
    assert links(before).items() <= links(ran).items()
    assert {"E00000", "E00001", "E00002", "E00003"} == shown(ran).keys()
    assert {"team": "team 2"} == shown(ran)["E00002"]["carried"]
    assert ["bonus", "bonus", "bonus"] == [shown(ran)[reference]["batch"] for reference in shown(before)]
    assert 4 == len(links_at(emulator))


@pytest.mark.parametrize(
    "other",
    ["re\u0301f 1", " réf 1 ", "réf  1", "r\u200béf 1", "réf\u00a01"],
    ids=["NFD", "blanks around", "two blanks", "invisible", "no-break space"],
)
def test_another_spelling_is_the_same_reference(program: Program, emulate: Emulate, other: str) -> None:
    emulator = emulate()
    reference = unicodedata.normalize("NFC", "réf 1")
    assert 0 == stream(program, [line(reference, address="ann@example.com")]).code
    assert 0 == stream(program, [line(other, address="Ann@Example.com")]).code
    assert 1 == posts(emulator)
    twice = stream(program, [line(reference, address="ann@example.com"), line(other, address="ann@example.com")])
    assert (3, [2]) == (twice.code, [detail["row"] for detail in twice.error["details"]])


def test_a_number_is_the_same_reference_as_its_text(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == stream(program, [line(7, address="ann@example.com")]).code
    assert ["7"] == list(shown(stream(program, [line("7", address="ann@example.com")])))
    assert 1 == posts(emulator)


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [{"value": 11}, {"address": "eve@example.com"}, {"product": "AMC-US"}],
    ids=["value", "recipient", "product"],
)
def test_a_known_reference_of_another_gift_is_refused_and_its_row_is_named(
    program: Program, emulate: Emulate, changed: dict[str, Any]
) -> None:
    emulator = emulate()
    assert 0 == stream(program, [line("a"), line("b")]).code
    for flags in [(), ("--again",), ("--batch", "new"), ("--dry-run",)]:
        ran = stream(program, [line("c"), line("a"), line("b", **changed)], *flags)
        assert (6, "", "reference_changed") == (ran.code, ran.out, ran.error["code"])
        assert [(3, "b")] == [(detail["row"], detail["reference"]) for detail in ran.error["details"]]
        assert "not_issued" == ran.error["money"]
    assert 1 == posts(emulator)


@pytest.mark.parametrize(
    ("lines", "row_or_line"),
    [
        ([line("a"), line("b").replace('"reference": "b", ', "")], ("line", 2)),
        ([line("a"), line(None, address="b@example.com")], ("line", 2)),
        ([line("a"), line("b"), line("a", 20)], ("row", 3)),
    ],
    ids=["none", "null", "twice"],
)
def test_a_missing_or_repeated_reference_is_an_error_of_the_input(
    program: Program, emulate: Emulate, lines: list[str], row_or_line: tuple[str, int]
) -> None:
    emulator = emulate()
    ran = stream(program, lines)
    assert (3, "") == (ran.code, ran.out)
    name, number = row_or_line
    assert [number] == [detail[name] for detail in ran.error["details"]]
    assert 0 == posts(emulator)


def test_the_reference_of_a_recipient_is_not_that_of_the_gift(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(
        program.home / "gifts.csv",
        [{"face_value": "10", "email": "a@example.com", "recipient": "R-1", "product": "AMZ-US"}],
    )
    ran = program("order", "create", "--file", str(path), "--by-reference", "--json")
    assert (3, "reference") == (ran.code, ran.error["details"][0]["column"])


def test_a_quantity_gives_several_gifts_one_reference_and_is_refused(program: Program, emulate: Emulate) -> None:
    emulate()
    path = sheet(
        program.home / "gifts.csv", [{"face_value": "10", "product": "AMZ-US", "reference": "a", "quantity": "2"}]
    )
    ran = program("order", "create", "--file", str(path), "--by-reference", "--json")
    assert (3, "quantity") == (ran.code, ran.error["details"][0]["column"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--file", "-", "--by-reference", "--idempotency-key", "k"),
        ("--face-value", "10", "--product", "AMZ-US", "--by-reference"),
    ],
)
def test_it_needs_a_file_and_no_key_of_ones_own(program: Program, emulate: Emulate, arguments: tuple[str, ...]) -> None:
    emulator = emulate()
    assert 2 == program("order", "create", *arguments, stdin=line("a")).code
    assert 0 == posts(emulator)


def test_a_gift_that_was_issued_without_a_reference_is_refused_unless_it_is_meant_again(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    same = ("--face-value", "10", "--email", "a@example.com", "--product", "AMZ-US")
    assert 0 == program("order", "create", *same).code
    refused = stream(program, [line("a"), line("b")])
    assert (6, [1]) == (refused.code, [detail["row"] for detail in refused.error["details"]])
    assert 6 == stream(program, [line("a"), line("b")], "--batch", "new").code
    assert 1 == posts(emulator)
    assert 0 == stream(program, [line("a"), line("b")], "--again").code
    assert 0 == stream(program, [line("a"), line("b")]).code
    assert ["a@example.com", "a@example.com", "b@example.com"] == paid(emulator)


def test_a_pruned_gift_has_nothing_to_show_and_is_not_issued_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == stream(program, [line("a")]).code
    assert 0 == program("batch", "prune", "--older-than", "0", "--yes").code
    ran = stream(program, [line("a")])
    assert (6, "", "pruned") == (ran.code, ran.out, ran.error["code"])
    assert 6 == stream(program, [line("a", 20)]).code
    assert 1 == posts(emulator)


def test_what_another_key_issued_is_shown_only_with_a_yes(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    program.env["RUNA_ENV"] = "playground"
    assert 0 == stream(program, [line("a")]).code
    program.env["RUNA_API_KEY"] = "xxother.secret~part"
    refused = stream(program, [line("a"), line("b")])
    assert (6, "", "key_changed") == (refused.code, refused.out, refused.error["code"])
    assert 1 == posts(emulator)
    assert {"a"} == shown(stream(program, [line("a")], "--yes")).keys()


# --- killed, and at once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_and_repeated_with_more_in_another_order_each_is_issued_once(
    program: Program, emulate: Emulate, point: str
) -> None:
    emulator = emulate()
    path = program.home / "gifts.jsonl"
    path.write_text("".join(map(line, "abc")))
    mode = "async" if point == "return:Orders.mark_accepted" else "sync"
    killed = program.killed_at(
        point, "order", "create", "--file", str(path), "--by-reference", "-o", "gifts", "--mode", mode
    )
    assert -9 == killed.code
    half = stream(program, map(line, "db"))
    whole = stream(program, map(line, "edcba"))
    assert (0, 0) == (half.code, whole.code), (half.err, whole.err)
    assert addresses("abcde") == paid(emulator)
    assert set("abcde") == shown(whole).keys()
    assert links_at(emulator) == set(links(whole).values())
    assert {"completed"} == set(program.states())


def kill_streaming(program: Program, emulator: Emulator, lines: Iterable[str], *, after_posts: int) -> None:
    """Stream lines into a process, and kill it as soon as the emulator has received so many orders in all."""
    path = program.home / "stream.jsonl"
    path.write_text("".join(lines))
    with path.open() as stdin, (program.home / "written.jsonl").open("w") as stdout:
        running = subprocess.Popen(
            program.command(*CREATE, "--concurrency", "1", "--no-preflight"), stdin=stdin, stdout=stdout,
            stderr=subprocess.PIPE, text=True, cwd=program.home, env=program.environment(),
        )  # fmt: skip
    wait_for(lambda: posts(emulator) >= after_posts, running)
    running.kill()
    assert -9 == running.wait(LONGEST)
    running.communicate()


@pytest.mark.file_ledger("a lease lasts a minute")
def test_two_thousand_gifts_killed_again_and_again_and_streamed_in_another_order_and_split(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate(processing_seconds=0.01)
    references = [f"id-{number}" for number in range(2000)]
    shuffle = random.Random(1).shuffle  # noqa: S311 - another order, the same in each run
    for after_posts in (1, 4, 7):
        kill_streaming(program, emulator, map(line, references), after_posts=after_posts)
        assert {"completed", "prepared"} & set(program.states())
        shuffle(references)
    more = [*references, "id-2000", "id-2001"]
    halves = [stream(program, map(line, part), "--no-preflight") for part in (more[:900], more[900:])]
    assert [0, 0] == [ran.code for ran in halves], halves[0].err + halves[1].err
    shown_links = {**links(halves[0]), **links(halves[1])}
    assert set(more) == shown_links.keys()
    assert addresses(more) == paid(emulator)
    whole = stream(program, map(line, more), "--no-preflight")
    assert (0, 2002) == (whole.code, len(whole.out.splitlines()))
    assert shown_links == links(whole)
    assert links_at(emulator) == set(shown_links.values())
    assert {reference: f"{reference}@example.com" for reference in more} == {
        reference: gift["email"] for reference, gift in shown(whole).items()
    }


def test_two_processes_that_stream_the_same_ids_at_once_issue_each_once(program: Program, emulate: Emulate) -> None:
    emulator = emulate(processing_seconds=0.01)
    references = [f"id-{number}" for number in range(600)]
    path = program.home / "gifts.jsonl"
    path.write_text("".join(map(line, references)))
    reverse = program.home / "reverse.jsonl"
    reverse.write_text("".join(map(line, reversed(references))))
    running = [
        program.start("order", "create", "--file", str(each), "--by-reference", "-o", "gifts", "--no-preflight")
        for each in (path, reverse, path)
    ]
    for each in running:
        out, err = each.communicate(timeout=LONGEST)
        assert each.returncode in {0, 75}, err
        assert (600 if each.returncode == 0 else 0) == len(out.splitlines())
    last = stream(program, map(line, references), "--no-preflight")
    assert 0 == last.code, last.err
    assert addresses(references) == paid(emulator)
    assert links_at(emulator) == set(links(last).values())


def test_a_reference_that_becomes_known_just_before_the_record_is_not_recorded_again(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    first = fork_server().begin(
        Start(CREATE, program.environment(), str(program.home), paused_at="call:Batches.record"),
        program.time, stdin=line("a") + line("b"), stdout=None, stderr=None,
    )  # fmt: skip
    assert first.pauses()
    meanwhile = stream(program, map(line, "bc"))
    assert 0 == meanwhile.code, meanwhile.err
    first.go_on()
    ran = first.end()
    assert 0 == ran.code, ran.err
    assert links(meanwhile)["b"] == links(ran)["b"]
    assert addresses("abc") == paid(emulator)


def test_a_reference_that_becomes_known_with_another_value_just_before_the_record_is_refused(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    first = fork_server().begin(
        Start(CREATE, program.environment(), str(program.home), paused_at="call:Batches.record"),
        program.time, stdin=line("a") + line("b", 30), stdout=None, stderr=None,
    )  # fmt: skip
    assert first.pauses()
    assert 0 == stream(program, map(line, "bc")).code
    first.go_on()
    ran = first.end()
    assert (6, "reference_changed") == (ran.code, ran.error["code"])
    assert addresses("bc") == paid(emulator)


def test_a_reference_that_is_issued_for_another_gift_just_before_its_order_is_sent_is_not_issued_again(
    program: Program, emulate: Emulate
) -> None:
    """A plain create does not take the reference for the gift's id, so nothing keeps it from issuing another gift."""
    emulator = emulate()
    path = program.home / "gifts.jsonl"
    path.write_text(line("a"))
    command = ("order", "create", "--file", str(path), "--by-reference", "-o", "gifts")
    assert -9 == program.killed_at("return:Batches.record", *command).code
    resumed = program.paused_at("call:Orders.mark_sent", *command)
    assert resumed.pauses()
    assert 0 == program("order", "create", "--file", "-", "--format", "jsonl", stdin=line("a", 20)).code
    resumed.go_on()
    ran = resumed.end()
    assert (6, "duplicate", "not_issued") == (ran.code, ran.error["code"], shown(ran)["a"]["money"])
    assert "reference_changed" == stream(program, [line("a")]).error["code"]
    assert {"a"} == shown(stream(program, [line("a", 20)])).keys()
    assert [("20.00", "a@example.com")] == [
        (item["face_value"], item["distribution_method"]["email_address"])
        for order in orders_at(emulator)
        for item in order["items"]
    ]


def test_a_known_gift_that_is_edited_out_of_its_batch_before_that_is_claimed_is_new(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(2))
    named = ("order", "create", "--file", str(path), "--batch", "bonus")
    assert -9 == program.killed_at("return:Batches.record", *named).code
    first = sheet(program.home / "first.csv", gifts(1))
    waiting = program.paused_at(
        "call:Ledger.claim", "order", "create", "--file", str(first), "--by-reference", "-o", "gifts"
    )
    assert waiting.pauses()
    sheet(path, gifts(1, first=1))
    assert 0 == program(*named).code
    waiting.go_on()
    ran = waiting.end()
    assert (0, "issued") == (ran.code, shown(ran)["E00000"]["money"]), ran.err
    assert ["person0@example.com", "person1@example.com"] == paid(emulator)


def test_a_batch_counts_as_shown_only_if_all_of_it_was(program: Program, emulate: Emulate) -> None:
    """A batch that was never shown is shown by its own command, which refuses it as a duplicate afterwards."""
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(2))
    command = ("order", "create", "--file", str(path))
    assert -9 == program.killed_at("return:Orders.mark_completed", *command).code
    first = sheet(program.home / "first.csv", gifts(1))
    assert 0 == program("order", "create", "--file", str(first), "--by-reference").code
    assert 0 == program(*command).code
    assert -9 == program.killed_at("return:Orders.mark_completed", *command, "--again").code
    assert 0 == program("order", "create", "--file", str(path), "--by-reference").code
    assert 6 == program(*command).code
    assert 2 == posts(emulator)


def test_many_references_are_looked_up_by_an_index_and_not_order_by_order(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        keys = [f"key {number}" for number in range(400)]
        statements = statements_of(ledger, lambda: ledger.referenced("live", keys))
        identities = [GiftIdentity(key, key, key) for key in keys]
        statements += statements_of(ledger, lambda: list(ledger.same_gifts("live", identities)))
    connection = sqlite3.connect(tmp_path / "ledger.db")
    for statement, index in zip(statements, ("gift_by_reference", "gift_by_same_gift", "gift_by_alike"), strict=True):
        marks = [None] * statement.count("?")
        (first, *_) = connection.execute(f"EXPLAIN QUERY PLAN {statement}", marks)
        assert f"SEARCH gift USING INDEX {index}" in first[3]


def statements_of(ledger: Ledger, read: Callable[[], object]) -> list[str]:
    """Return the statements of a query."""
    with patch.object(ledger._engine, "select", wraps=ledger._engine.select) as select:
        read()
    return [call.args[0] for call in select.call_args_list]


def test_a_batch_of_known_gifts_that_another_process_works_on_is_busy(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    first = fork_server().begin(
        Start(CREATE, program.environment(), str(program.home), paused_at="return:Orders.mark_sent"),
        program.time, stdin=line("a"), stdout=None, stderr=None,
    )  # fmt: skip
    assert first.pauses()
    busy = stream(program, map(line, "ab"))
    assert (75, "") == (busy.code, busy.out)
    first.go_on()
    assert 0 == first.end().code
    assert 0 == stream(program, map(line, "ab")).code
    assert addresses("ab") == paid(emulator)


# --- what did not end well ---------------------------------------------------------------------------------------


def test_what_runa_rejected_is_issued_in_a_new_order(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    behave(emulator, "no-funds@*")
    ran = stream(program, map(line, "ab"))
    assert (5, {"not_issued"}) == (ran.code, {gift["money"] for gift in shown(ran).values()})
    assert {"rejected"} == {gift["status"] for gift in shown(ran).values()}
    assert all(gift["error"] and gift["payout_url"] is None for gift in shown(ran).values())
    behave(emulator)
    again = stream(program, map(line, "bac"))
    assert 0 == again.code, again.err
    assert addresses("abc") == paid(emulator)
    assert {"active"} == {gift["status"].lower() for gift in shown(stream(program, map(line, "abc"))).values()}


def test_a_rejected_gift_may_be_corrected_and_may_come_without_the_others_of_its_order(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    behave(emulator, "no-funds@*")
    assert 5 == stream(program, map(line, "abc")).code
    behave(emulator)
    assert 0 == stream(program, [line("a"), line("b", 20)]).code
    assert 0 == stream(program, [line("c"), line("b", 20), line("a")]).code
    assert 6 == stream(program, [line("b")]).code
    assert addresses("abc") == paid(emulator)


def test_what_runa_rejected_is_issued_after_its_batch_was_pruned(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    behave(emulator, "no-funds@*")
    assert 5 == stream(program, map(line, "ab")).code
    assert 0 == program("batch", "prune", "--older-than", "0", "--yes").code
    behave(emulator)
    again = stream(program, map(line, "ab"))
    assert 0 == again.code, again.err
    assert addresses("ab") == paid(emulator)


def test_a_plain_create_of_the_same_gifts_is_a_duplicate_of_all_their_batches(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    for names in ("a", "ab"):
        assert 0 == stream(program, map(line, names)).code
    ran = program("order", "create", "--file", "-", "--format", "jsonl", "--json", stdin=line("a") + line("b"))
    assert (6, "duplicate") == (ran.code, ran.error["code"])
    assert "2 of the 2 gifts in this file were issued before" in ran.error["message"]
    assert addresses("ab") == paid(emulator)


def test_an_abandoned_gift_comes_back_only_with_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate("stored-5xx@1")
    unknown = stream(program, [line("a")])
    assert (7, "unknown") == (unknown.code, shown(unknown)["a"]["money"])
    batch = shown(unknown)["a"]["batch"]
    assert 0 == program("batch", "abandon", batch, "--yes").code
    ran = stream(program, map(line, "ab"))
    assert (8, "partial") == (ran.code, ran.error["money"])
    assert ("abandoned", "unknown") == (shown(ran)["a"]["status"], shown(ran)["a"]["money"])
    assert "issued" == shown(ran)["b"]["money"]
    assert addresses("b") == paid(emulator)
    again = stream(program, map(line, "ab"), "--again")
    assert 0 == again.code, again.err
    after = stream(program, map(line, "ab"))
    assert (0, links(again)) == (after.code, links(after))
    assert addresses("ab") == paid(emulator)


def test_a_failed_order_is_shown_with_its_gifts_and_not_issued_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate("failed@1")
    first = stream(program, [line("a")])
    assert (5, "not_issued", "failed") == (first.code, shown(first)["a"]["money"], shown(first)["a"]["status"])
    sent = posts(emulator)
    again = stream(program, [line("a")])
    assert (5, shown(first)) == (again.code, shown(again))
    assert sent == posts(emulator)


# --- together with other options ---------------------------------------------------------------------------------


def test_with_a_name_new_gifts_join_the_batch_and_known_ones_stay_where_they_are(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    assert 0 == stream(program, [line("a")]).code
    path = sheet(program.home / "gifts.csv", [{"reference": "b", "email": "b@example.com", "team": "x"}])
    csv = ("order", "create", "--file", str(path), "--by-reference", "--batch", "bonus", "--face-value", "10",
           "--product", "AMZ-US", "-o", "csv")  # fmt: skip
    assert 0 == program(*csv).code
    sheet(path, [{"reference": each, "email": f"{each}@example.com", "floor": each * 2} for each in "abc"])
    ran = program(*csv)
    assert 0 == ran.code, ran.err
    assert ["aa", "bb", "cc"] == [row["floor"] for row in rows_of(ran.out)]
    exported = rows_of(program("batch", "export", "bonus", "-o", "csv").out)
    assert {"b": ("x", ""), "c": ("", "cc")} == {row["reference"]: (row["team"], row["floor"]) for row in exported}
    assert addresses("abc") == paid(emulator)
    assert 6 == stream(program, [line("d")], "--batch", "BONUS").code


def test_what_was_rejected_in_a_named_batch_is_added_to_it_again_and_shown_once(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    behave(emulator, "no-funds@2-3")
    command = ("--batch", "bonus", "--mode", "sync", "--concurrency", "1", "--no-preflight")
    assert 8 == stream(program, map(line, "abc"), *command).code
    behave(emulator)
    again = stream(program, map(line, "abcd"), *command)
    assert 0 == again.code, again.err
    exported = program("batch", "export", "bonus", "-o", "gifts")
    assert (4, links(again)) == (len(exported.out.splitlines()), links(exported))
    assert addresses("abcd") == paid(emulator)
    assert "completed" == program("batch", "show", "bonus", "--json").json["state"]


def test_the_cap_holds_for_all_of_a_named_batch_that_grows(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == stream(program, map(line, "ab"), "--batch", "bonus", "--max-total", "20").code
    grown = stream(program, map(line, "c"), "--batch", "bonus", "--max-total", "20")
    assert (6, "above_max_total") == (grown.code, grown.error["code"])
    assert addresses("ab") == paid(emulator)


@pytest.mark.file_ledger("in live a name is needed on a server")
def test_live_money_needs_one_yes_for_all_that_is_about_to_be_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    program.env.update(RUNA_ENV="live", RUNA_API_KEY="wgtests.secret")
    path = program.home / "gifts.jsonl"
    path.write_text(line("a"))
    program.killed_at("return:Batches.record", "order", "create", "--file", str(path), "--by-reference", "--yes")
    for lines, gifts_and_sum in ([line("a")], "1 gift, 10.00 USD"), ([line("a"), line("b")], "2 gifts, 20.00 USD"):
        ran = stream(program, lines)
        assert (6, "not_confirmed") == (ran.code, ran.error["code"])
        assert gifts_and_sum in ran.error["message"]
    assert 0 == posts(emulator)
    assert 0 == stream(program, [line("a"), line("b")], "--confirm-total", "20").code
    assert 0 == stream(program, [line("a"), line("b")]).code
    assert addresses("ab") == paid(emulator)


def test_a_total_confirmed_for_the_input_does_not_cover_more_than_the_input(program: Program, emulate: Emulate) -> None:
    """An order that an earlier run left unsent is sent whole, with gifts that are not in this input."""
    emulator = emulate()
    path = program.home / "gifts.jsonl"
    path.write_text(line("a") + line("b"))
    program.killed_at("return:Batches.record", "order", "create", "--file", str(path), "--by-reference")
    assert 6 == stream(program, [line("a")], "--confirm-total", "10").code
    assert 6 == stream(program, [line("a")], "--max-total", "10").code
    assert 0 == posts(emulator)
    ran = stream(program, [line("a")], "--confirm-total", "20")
    assert (0, {"a"}) == (ran.code, set(shown(ran)))
    assert 0 == stream(program, [line("b")], "--confirm-total", "10").code
    assert addresses("ab") == paid(emulator)


def test_after_ctrl_c_no_further_batch_is_started(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@1")
    for name in "ab":
        path = program.home / f"{name}.jsonl"
        path.write_text(line(name))
        program.killed_at("return:Batches.record", "order", "create", "--file", str(path), "--by-reference")
    path.write_text(line("a") + line("b") + line("c"))
    running = program.start("order", "create", "--file", str(path), "--by-reference", "-o", "gifts", "-v")
    wait_for(lambda: posts(emulator) == 1, running)
    running.terminate()
    wait_for_stopping(running)
    emulator.hurry()
    out, err = running.communicate(timeout=LONGEST)
    assert 130 == running.returncode, err
    assert {"a": "issued", "b": "not_issued", "c": "not_issued"} == {
        gift["reference"]: gift["money"] for gift in map(json.loads, out.splitlines())
    }
    assert 0 == stream(program, map(line, "abc")).code
    assert addresses("abc") == paid(emulator)


def test_runa_is_asked_once_more_about_what_failed(program: Program, emulate: Emulate) -> None:
    emulator = emulate("failed-at-first@1")
    assert 5 == stream(program, [line("a")]).code
    ran = stream(program, map(line, "ab"))
    assert (0, {"issued"}) == (ran.code, {gift["money"] for gift in shown(ran).values()})
    assert addresses("ab") == paid(emulator)


def test_a_link_is_shown_with_its_reference_and_never_beside_another(program: Program, emulate: Emulate) -> None:
    emulator = emulate()

    def link(reference: str, value: int = 10) -> str:
        item = {
            "reference": reference,
            "face_value": value,
            "distribution_method": {"type": "PAYOUT_LINK"},
            "products": {"type": "SINGLE", "value": "AMZ-US"},
        }
        return json.dumps(item) + "\n"

    first = stream(program, map(link, "abc"))
    again = stream(program, map(link, "dbca"))
    assert (0, 0) == (first.code, again.code)
    assert links(first).items() <= links(again).items()
    assert links_at(emulator) == set(links(again).values())
    assert 4 == len(links_at(emulator))


@pytest.mark.slow
def test_a_long_stream_needs_hardly_more_memory_than_a_short_one(program: Program, emulate: Emulate) -> None:
    emulate()
    peaks = []
    for count in (2_000, 20_000):
        path = program.home / f"{count}.jsonl"
        path.write_text("".join(line(f"{count}-{number}") for number in range(count)))
        for _ in range(2):  # new, then known
            started = subprocess.Popen(
                program.command("order", "create", "--file", str(path), "--by-reference", "-o", "gifts"),
                stdout=subprocess.DEVNULL, cwd=program.home, env=program.environment(),
            )  # fmt: skip
            _, status, usage = os.wait4(started.pid, 0)
            started.returncode = status
            assert 0 == status
            peaks.append(usage.ru_maxrss)
    assert max(peaks[2:]) <= peaks[0] * 1.3


def test_an_unfinished_named_batch_is_finished_for_the_gifts_of_the_input(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    path = sheet(program.home / "gifts.csv", gifts(3, orders=3))
    killed = program.killed_at(
        "return:Client.create_order", "order", "create", "--file", str(path), "--batch", "bonus", "--concurrency", "1"
    )
    assert -9 == killed.code
    sheet(path, gifts(2, orders=3, first=0))
    ran = program("order", "create", "--file", str(path), "--by-reference", "-o", "gifts")
    assert 0 == ran.code, ran.err
    assert {"E00000", "E00001"} == shown(ran).keys()
    assert ["person0@example.com", "person1@example.com"] == paid(emulator)
    assert ["completed", "completed", "prepared"] == program.states()


def test_the_cap_holds_for_the_whole_input_and_the_confirmed_total_for_it_or_for_what_is_sent(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    assert 6 == stream(program, map(line, "ab"), "--max-total", "19.99").code
    assert 6 == stream(program, map(line, "ab"), "--confirm-total", "10").code
    assert 0 == stream(program, map(line, "ab"), "--max-total", "20", "--confirm-total", "20").code
    assert 6 == stream(program, map(line, "abc"), "--max-total", "20").code
    assert 6 == stream(program, map(line, "abc"), "--confirm-total", "20").code
    assert 0 == stream(program, map(line, "abc"), "--confirm-total", "10").code
    assert 0 == stream(program, map(line, "abcd"), "--confirm-total", "40").code
    assert 0 == stream(program, map(line, "abcd"), "--confirm-total", "40").code
    assert 6 == stream(program, map(line, "abcd"), "--max-total", "39").code
    assert addresses("abcd") == paid(emulator)


def test_what_an_earlier_run_left_unsent_counts_as_about_to_be_sent(program: Program, emulate: Emulate) -> None:
    emulate()
    path = program.home / "gifts.jsonl"
    path.write_text(line("a") + line("b"))
    program.killed_at("return:Batches.record", "order", "create", "--file", str(path), "--by-reference")
    assert ["prepared"] == program.states()
    lines = [line("a"), line("b"), line("c", 5)]
    assert 6 == stream(program, lines, "--confirm-total", "5").code
    assert 0 == stream(program, lines, "--confirm-total", "25").code


def test_every_format_shows_the_gifts_of_the_input_in_its_order(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == stream(program, map(line, "ab")).code
    issued = links(stream(program, map(line, "abc")))
    wanted = [issued[reference] for reference in "cba"]
    file = program.home / "results.csv"
    plain = ("order", "create", "--file", "-", "--format", "jsonl", "--by-reference", "--results", str(file))
    text = "".join(map(line, "cba"))
    assert wanted == program(*plain, "-o", "links", stdin=text).out.split()
    assert wanted == [row["payout_url"] for row in rows_of(program(*plain, "-o", "csv", stdin=text).out)]
    assert wanted == [row["payout_url"] for row in rows_of(file.read_text())]
    table = program(*plain, stdin=text).out
    assert all(table.count(link) == 1 for link in wanted)
    for output in ("json", "jsonl"):
        out = program(*plain, "-o", output, stdin=text).out
        orders = json.loads(out) if output == "json" else [json.loads(one) for one in out.splitlines()]
        assert set(wanted) == {item["payout"]["url"] for order in orders for item in order["items"]}


def test_a_dry_run_tells_what_is_new_and_records_nothing(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == stream(program, map(line, "ab")).code
    ran = program(*CREATE[:-2], "--dry-run", "--json", stdin="".join(map(line, "abc")))
    (request,) = ran.json
    assert ["c@example.com"] == [item["distribution_method"]["email_address"] for item in request["body"]["items"]]
    assert 1 == posts(emulator)
    assert ["completed"] == program.states()


def test_items_of_a_whole_order_may_have_references_too(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    order = {
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
        "items": [json.loads(line("a")), json.loads(line("b"))],
    }
    assert 0 == stream(program, [json.dumps(order)]).code
    assert {"a", "b"} == shown(stream(program, map(line, "ba"))).keys()
    assert 1 == posts(emulator)
