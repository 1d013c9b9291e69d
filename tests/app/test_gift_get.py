"""`gift get`: one gift by its item id, link or reference."""

import json

from tests.conftest import Emulate
from tests.support.csv_files import rows_of
from tests.support.program import Program

STAFF = (
    "face_value,email,reference,product,team\n25,ann@example.com,E001,AMZ-US,north\n50,ben@example.com,E002,AMZ-US,\n"
)


def issue(program: Program, batch: str = "bonus", text: str = STAFF, *more: str) -> list[dict[str, object]]:
    """Issue a batch, and return its gifts."""
    ran = program("order", "create", "--file", "-", "--batch", batch, "-o", "gifts", *more, stdin=text)
    assert 0 == ran.code, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def test_a_gift_is_found_by_each_of_its_names(program: Program, emulate: Emulate) -> None:
    emulate()
    gift, _ = issue(program)
    for name in ("item_id", "payout_url", "reference"):
        found = program("gift", "get", f" {gift[name]}", "--json")
        assert (0, gift) == (found.code, {key: value for key, value in found.json.items() if key in gift})
    assert gift == json.loads(program("gift", "get", "E001", "-o", "gifts").out)
    assert f"{gift['payout_url']}\n" == program("gift", "get", str(gift["item_id"]).lower(), "-o", "links").out
    (row,) = rows_of(program("gift", "get", "E001", "-o", "csv").out)
    assert ("bonus", gift["item_id"], '{"team": "north"}') == (row["batch"], row["item_id"], row["carried"])


def test_all_that_is_known_of_a_gift_is_shown_to_people(program: Program, emulate: Emulate) -> None:
    emulate()
    gift, _ = issue(program)
    out = program("gift", "get", "E001").out
    facts = {line.split()[0]: line.split()[-1] for line in out.splitlines() if line}
    assert ("ann@example.com", "north", gift["order_id"], gift["payout_url"]) == (
        facts["Recipient"], facts["team"], facts["Order"], facts["Payout"],
    )  # fmt: skip
    assert "  Batch        bonus, row 1\n" in out


def test_a_part_of_a_name_is_no_name(program: Program, emulate: Emulate) -> None:
    emulate()
    gift, _ = issue(program)
    for text in ("E00", "e001", str(gift["item_id"])[:-1], str(gift["order_id"]), "ann@example.com", " "):
        ran = program("gift", "get", text, "--json")
        assert (3, "no_gift", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])


def test_several_gifts_of_a_reference_are_named_with_the_ways_to_choose(program: Program, emulate: Emulate) -> None:
    emulate()
    old, _ = issue(program)
    (new,) = issue(program, "second", "face_value,email,reference,product\n25,ann@example.com,E001,800PET-US\n")
    ran = program("gift", "get", "E001", "--json")
    assert (2, "ambiguous") == (ran.code, ran.error["code"])
    assert [(new["item_id"], "second"), (old["item_id"], "bonus")] == [
        (choice["item_id"], choice["batch"]) for choice in ran.error["details"]
    ]
    text = program("gift", "get", "E001").err
    assert f"{old['item_id']}: batch bonus (local), row 1, 25.00 USD to ann@example.com, ACTIVE" in text
    assert old["item_id"] == program("gift", "get", "E001", "--batch", "bonus", "--json").json["item_id"]
    assert new["item_id"] == program("gift", "get", str(new["item_id"]), "--json").json["item_id"]
    assert 3 == program("gift", "get", "E002", "--batch", "second").code


def test_a_gift_of_another_environment_is_not_shown_but_named(program: Program, emulate: Emulate) -> None:
    emulate()
    issue(program)
    ran = program("gift", "get", "E001", "--env", "playground", "--json")
    assert (3, "no_gift", "There is one in local: add --env local.") == (
        ran.code, ran.error["code"], ran.error["hint"],
    )  # fmt: skip


def test_of_a_pruned_gift_nothing_can_be_shown(program: Program, emulate: Emulate) -> None:
    emulate()
    gift, _ = issue(program)
    assert 0 == program("batch", "prune", "--older-than", "0", "--yes").code
    ran = program("gift", "get", "E001", "--json")
    assert (6, "pruned", "bonus") == (ran.code, ran.error["code"], ran.error["batch"])
    assert 3 == program("gift", "get", str(gift["item_id"])).code


def test_a_rejected_gift_that_was_issued_again_is_one_gift(program: Program, emulate: Emulate) -> None:
    emulate()
    text = "face_value,email,reference,product\n900000000,ann@example.com,E001,AMZ-US\n"
    rejected = program("order", "create", "--file", "-", "--batch", "bonus", "--no-preflight", stdin=text)
    assert 5 == rejected.code
    assert "rejected" == program("gift", "get", "E001", "--json").json["status"]
    (gift,) = issue(program, "bonus", text.replace("900000000", "25"))
    assert gift["item_id"] == program("gift", "get", "E001", "--json").json["item_id"]
