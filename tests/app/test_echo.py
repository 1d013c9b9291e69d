"""What Runa echoes need not be spelled as it was asked for; a link still goes to its own row, or to none."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import rows_of
from tests.support.program import GIFT, KEY, Program, links_at, orders_at, posts
from tests.support.ran import Ran
from tests.support.scripted_server import Answer, ScriptedServer, as_json, completed

Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
DT = ("DT-01HQ12PV4B8XMBRTK281JM54KK", "DT-01HPPT8ME05693EG77RCGKMX7N")
PSR = ("PSR-01HQ12PV4B8XMBRTK281JM54KK", "PSR-01HPPT8ME05693EG77RCGKMX7N")


def items_of(*rows: dict[str, Any]) -> str:
    return json.dumps([{"face_value": 10, "products": {"type": "SINGLE", "value": "AMZ-US"}, **row} for row in rows])


def mail(address: str, **more: str) -> dict[str, Any]:
    return {"distribution_method": {"type": "EMAIL", "email_address": address, **more}}


def link(**more: str) -> dict[str, Any]:
    return {"distribution_method": {"type": "PAYOUT_LINK", **more}}


def issue(
    program: Program, content: str, change: Change, *arguments: str, stamp: bool = True, again: int = 0
) -> tuple[Ran, ScriptedServer]:
    """Issue items at a Runa that makes the order, numbers its links by row, and answers with the items changed."""
    made: dict[str, Any] = {}

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "GET":
            return as_json(200, made["order"])
        order = completed(headers["X-Idempotency-Key"], body, id="O-1")
        made["order"] = {**order, "items": change(order["items"])}
        if not stamp:
            made["order"]["metadata"] = None
        if headers["X-Execution-Mode"] == "sync":
            return as_json(200, made["order"])
        return as_json(202, {"id": "O-1", "status": "PROCESSING"})

    with ScriptedServer(script) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        command = ("order", "create", "--file", "-", "--format", "json", "--batch", "bonus", "--no-lookup", *arguments)
        ran = program(*command, stdin=content)
        for _ in range(again):
            ran = program(*command, stdin=content)
        return ran, fake


def links(ran: Ran) -> list[str]:
    """Return what the link of each row ends in: the number of the item that Runa made for it."""
    return [row["payout_url"].rpartition("/")[2] for row in rows_of(ran.out)]


# --- the same in another spelling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("--face-value", "10", "--email", "Fred.Müller@Bücher.example", "--product", "AMZ-US"),
        ("--face-value", "10", "--email", "Mu\u0308ller@example.com", "--product", "AMZ-US"),
        ("--face-value", "7", "--email", "a@example.com", "--product", "AMZ-US", "--product", "1800FL-US"),
        ("--face-value", "7", "--quantity", "2", "--product", "AMZ-US", "--product", "1800FL-US"),
    ],
    ids=["another domain", "other letters", "fewer products", "fewer products of two links"],
)
def test_an_answer_in_another_spelling_is_the_answer(
    program: Program, emulate: Emulate, command: tuple[str, ...]
) -> None:
    emulator = emulate("respelled@1")
    ran = program("order", "create", *command, "-o", "links")
    assert 0 == ran.code, ran.err
    assert links_at(emulator) == set(ran.out.split())
    assert ["completed"] == program.states()


def shuffled(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return items[::-1]


def swap(changed: Change) -> Change:
    return lambda items: changed(items)[::-1]


def each(**changes: Any) -> Change:
    return lambda items: [{**item, **changes} for item in items]


VISA = {"type": "SINGLE", "value": "VISARL-USD"}


@pytest.mark.parametrize(
    "rows",
    [
        (link(template_id=DT[0]), link(template_id=DT[1])),
        (link(), link(template_id=DT[1])),
        (link(template_id=DT[0]), link()),
        tuple(
            {**link(), "products": {**VISA, "usage_config": {"spend_rules_template_id": rules}}} for rules in PSR
        ),
        ({**link(), "products": VISA},
         {**link(), "products": {**VISA, "usage_config": {"spend_rules_template_id": PSR[0]}}}),
        ({**link(), "products": {"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]}},
         {**link(), "products": {"type": "MULTIPLE", "values": ["AMC-US", "AERIE-US"]}}),
    ],
    ids=["templates", "template second", "template first", "spend rules", "spend rules second", "products"],
)  # fmt: skip
def test_rows_that_differ_in_what_is_echoed_keep_their_links_in_a_shuffled_answer(
    program: Program, rows: tuple[dict[str, Any], ...]
) -> None:
    ran, _ = issue(program, items_of(*rows), shuffled, "-o", "csv", "--no-preflight")
    assert (0, ["0", "1"]) == (ran.code, links(ran)), ran.err


def without_templates(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**item, "distribution_method": {"type": "PAYOUT_LINK"}} for item in items]


def without_template_of_the_second(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [items[0], *without_templates(items[1:])]


@pytest.mark.parametrize("change", [without_template_of_the_second, swap(without_template_of_the_second)])
def test_what_is_left_out_of_the_echo_follows_from_the_rest(program: Program, change: Change) -> None:
    rows = items_of(link(template_id=DT[0]), link(template_id=DT[1]))
    ran, _ = issue(program, rows, change, "-o", "csv")
    assert (0, ["0", "1"]) == (ran.code, links(ran)), ran.err


@pytest.mark.parametrize(
    ("rows", "change"),
    [
        ((link(template_id=DT[0]), link(template_id=DT[1])), without_templates),
        ((link(template_id=DT[0]), link()), without_templates),
        (
            ({**link(), "products": {"type": "SINGLE", "value": "AMZ-US"}},
             {**link(), "products": {"type": "SINGLE", "value": "AMC-US"}}),
            each(products={"type": "UNKNOWN"}),
        ),
        (
            tuple(
                {**link(), "products": {"type": "MULTIPLE", "values": ["AMZ-US", code]}}
                for code in ("AMC-US", "AERIE-US")
            ),
            each(products={"type": "MULTIPLE", "values": ["AMZ-US"]}),
        ),
        (
            tuple({**link(), "products": {"type": "TEMPLATE", "template_id": template}} for template in (
                "PT-01HQ12PV4B8XMBRTK281JM54KK", "PT-01HPPT8ME05693EG77RCGKMX7N"
            )),
            each(products={"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]}),
        ),
    ],
    ids=["templates", "one template", "unknown products", "part of the products", "product templates"],
)  # fmt: skip
def test_where_two_rows_are_in_doubt_neither_gets_a_link(
    program: Program, rows: tuple[dict[str, Any], ...], change: Change
) -> None:
    arguments = ("-o", "csv", "--no-preflight", "--currency", "USD")
    ran, fake = issue(program, items_of(*rows), change, *arguments)
    assert 8 == ran.code, ran.err
    assert ["", "", "0", "1"] == links(ran)
    assert 1 == len(fake.posted)


@pytest.mark.parametrize(
    "change",
    [
        each(face_value=10.0),
        each(face_value="10"),
        each(products={"type": "UNKNOWN"}),
        each(products={"type": "SINGLE", "values": "AMZ-US"}),
        each(products={"type": "MULTIPLE", "values": ["AMZ-US"]}),
        each(distribution_method={"type": "EMAIL", "email_address": " ANN@EXAMPLE.COM"}),
        each(distribution_method={"type": "EMAIL", "email_address": "ann@example.com", "template_id": DT[0]}),
    ],
)
def test_one_row_gets_its_link_however_it_is_echoed(program: Program, change: Change) -> None:
    ran, _ = issue(program, items_of(mail("Ann@example.com")), change, "-o", "csv")
    assert (0, ["0"]) == (ran.code, links(ran)), ran.err


def test_the_products_of_a_template_are_the_template(program: Program) -> None:
    template = {"type": "TEMPLATE", "template_id": "PT-01HQ12PV4B8XMBRTK281JM54KK"}
    rows = items_of(*({**mail(address), "products": template} for address in ("ann@example.com", "bob@example.com")))
    change = swap(each(products={"type": "MULTIPLE", "values": ["AMC-US", "AMZ-US"]}))
    ran, _ = issue(program, rows, change, "-o", "csv", "--currency", "USD")
    assert (0, ["0", "1"]) == (ran.code, links(ran)), ran.err


# --- an item that matches no row -------------------------------------------------------------------------------------

THREE = items_of(mail("ann@example.com"), mail("bob@example.com"), mail("cat@example.com"))


def second_for_eve(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [items[0], {**items[1], **mail("eve@example.com")}, items[2]]


@pytest.mark.parametrize("again", [0, 1], ids=["at once", "the next time"])
def test_an_item_that_matches_no_row_is_shown_apart_and_the_rest_beside_its_rows(program: Program, again: int) -> None:
    ran, fake = issue(program, THREE, second_for_eve, "-o", "csv", again=again)
    assert 8 == ran.code, ran.err
    assert "matches no row" in ran.err
    rows = [(row["row"], row["email"], row["status"], row["payout_url"][-2:], row["error"]) for row in rows_of(ran.out)]
    assert rows == [
        ("1", "ann@example.com", "ACTIVE", "/0", ""),
        ("2", "bob@example.com", "completed", "", "Runa's answer has no item that matches this row"),
        ("3", "cat@example.com", "ACTIVE", "/2", ""),
        ("0", "eve@example.com", "ACTIVE", "/1", "no row matches this item of Runa's answer"),
    ]
    assert 1 == len(fake.posted)
    assert ["completed"] == program.states()


def test_an_item_that_matches_no_row_is_an_error_that_says_that_all_is_issued(program: Program) -> None:
    ran, _ = issue(program, THREE, second_for_eve, "--json")
    error = ran.error
    assert (8, 8, "unmatched_items", "issued") == (ran.code, error["exit_code"], error["code"], error["money"])
    assert ("O-1", "bonus") == (error["order_id"], error["batch"])
    assert 3 == len(ran.json[0]["items"])


@pytest.mark.parametrize("output_format", ["table", "links", "csv", "json", "gifts"])
def test_every_link_is_shown_in_every_format_at_any_later_time(program: Program, output_format: str) -> None:
    issue(program, THREE, second_for_eve)
    ran = program("batch", "export", "bonus", "-o", output_format, "-v")
    assert 0 == ran.code
    assert "matches no row" in ran.err
    assert [1, 1, 1] == [ran.out.count(f"/{number}") for number in range(3)]
    if output_format == "links":
        assert ["0", "2", "1"] == [line[-1] for line in ran.out.split()]


def test_an_item_that_matches_no_row_is_a_gift_line_without_one_at_once_and_later(program: Program) -> None:
    ran, _ = issue(program, THREE, second_for_eve, "-o", "gifts")
    gifts = [json.loads(line) for line in ran.out.splitlines()]
    assert [
        (1, "ann@example.com", "issued"),
        (2, "bob@example.com", "unknown"),
        (3, "cat@example.com", "issued"),
        (None, "eve@example.com", "issued"),
    ] == [(gift["row"], gift["email"], gift["money"]) for gift in gifts]
    assert [True, False, True, True] == [gift["payout_url"] is not None for gift in gifts]
    assert ran.out == program("batch", "export", "bonus", "-o", "gifts").out


def test_the_results_file_has_the_items_that_match_no_row_at_its_end(program: Program) -> None:
    issue(program, THREE, second_for_eve, "--results", "results.csv")
    rows = rows_of((program.home / "results.csv").read_text())
    assert ["1", "2", "3", "0"] == [row["row"] for row in rows]


@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        (lambda items: items[:2], ["0", "1", ""]),
        (lambda items: [*items, {**items[0], "id": "E-9"}], ["0", "1", "2", "0"]),
        (lambda items: [*items, items[0]], ["0", "1", "2", "0"]),
    ],
    ids=["too few", "too many", "one twice"],
)
def test_an_answer_with_fewer_or_more_items_is_bound_as_far_as_it_goes(
    program: Program, change: Change, numbers: list[str]
) -> None:
    ran, _ = issue(program, THREE, change, "-o", "csv")
    assert (8, numbers) == (ran.code, links(ran)), ran.err


def test_a_batch_of_which_one_order_does_not_match_is_issued_all_the_same(
    program: Program,
) -> None:
    payment = {"type": "ACCOUNT_BALANCE", "currency": "USD"}
    rows = [json.loads(items_of(mail(address))) for address in ("ann@example.com", "bob@example.com")]
    orders = json.dumps([{"payment_method": payment, "items": row} for row in rows])

    def change(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**item, **mail("eve@example.com")} if "bob" in str(item) else item for item in items]

    made: list[str] = []

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        made.append(headers["X-Idempotency-Key"])
        order = completed(made[-1], body)
        return as_json(200, {**order, "items": change(order["items"])})

    with ScriptedServer(script) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        ran = program(
            "order", "create", "--file", "-", "--format", "json", "--no-preflight", "--json", stdin=orders
        )  # fmt: skip
    assert (8, "issued", "unmatched_items") == (ran.code, ran.error["money"], ran.error["code"])
    assert ["completed", "completed"] == program.states()


def test_without_a_stamp_an_answer_that_does_not_match_proves_nothing(program: Program) -> None:
    content = items_of(mail("ann@example.com"))
    arguments = ("--no-stamp", "--timeout", "1.5", "--json")
    ran, _ = issue(program, content, each(**mail("eve@example.com")), *arguments, stamp=False)
    assert (7, "unknown") == (ran.code, ran.error["money"])
    assert ["sent"] == program.states()


def test_an_answer_for_somebody_else_is_completed_once_with_the_emulator(program: Program, emulate: Emulate) -> None:
    emulator = emulate("unmatched@1")
    ran = program(*GIFT, "--batch", "bonus", "-o", "csv")
    assert (8, 1) == (ran.code, posts(emulator))
    assert "somebody.else@example.com" in ran.out
    assert 8 == program(*GIFT, "--batch", "bonus").code
    assert (1, 1) == (posts(emulator), len(orders_at(emulator)))


def test_a_pruned_batch_shows_neither_links_nor_reasons(program: Program) -> None:
    issue(program, THREE, second_for_eve)
    assert 0 == program("batch", "prune", "bonus", "--older-than", "0", "--yes").code
    ran = program("batch", "export", "bonus", "-o", "csv")
    assert (6, "") == (ran.code, ran.out)
    assert "no item" not in ran.err
