"""An order that Runa reported as FAILED is asked for once more when the same is run again."""

from typing import Any

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, KEY, Program, links_at, posts
from tests.support.scripted_server import Answer, ScriptedServer, as_json, completed

TWO = ("order", "create", "--face-value", "10", "--quantity", "2", "--product", "AMZ-US")
AGAIN = pytest.mark.parametrize(
    "again", [None, ("batch", "resume", "bonus")], ids=["the same create", "resume"]
)  # fmt: skip


@AGAIN
@pytest.mark.parametrize(
    ("command", "fault"), [(GIFT, "failed-at-first@1"), (TWO, "get-failed@1")], ids=["sync", "async"]
)
def test_what_runa_calls_completed_now_is_completed_with_its_links(
    program: Program, emulate: Emulate, command: tuple[str, ...], fault: str, again: tuple[str, ...] | None
) -> None:
    emulator = emulate(fault, processing_seconds=0)
    command = (*command, "--batch", "bonus")
    assert (5, ["failed"]) == (program(*command).code, program.states())
    ran = program(*(again or command), "-o", "links")
    assert (0, ["completed"], 1) == (ran.code, program.states(), posts(emulator)), ran.err
    assert links_at(emulator) == set(ran.out.split())
    assert "as FAILED before, and now as COMPLETED" in ran.err


@AGAIN
@pytest.mark.parametrize("fault", ["failed@1", "failed-bare@1"])
def test_what_is_still_failed_stays_so_and_is_not_sent_again(
    program: Program, emulate: Emulate, fault: str, again: tuple[str, ...] | None
) -> None:
    emulator = emulate(fault)
    command = (*GIFT, "--batch", "bonus", "--no-lookup")
    assert 5 == program(*command).code
    ran = program(*(again or command), "--json")
    assert (5, "order_failed", ["failed"], 1) == (ran.code, ran.error["code"], program.states(), posts(emulator))
    assert ("GET", f"/v2/order/{ran.error['order_id']}", None) in emulator.requests


@AGAIN
def test_a_runa_that_does_not_answer_leaves_it_failed(
    program: Program, emulate: Emulate, again: tuple[str, ...] | None
) -> None:
    emulate("failed@1")
    command = (*GIFT, "--batch", "bonus", "--no-lookup")
    assert 5 == program(*command).code
    ran = program(*(again or command), "--json", RUNA_BASE_URL="http://127.0.0.1:9/v2")
    assert (5, "order_failed", ["failed"]) == (ran.code, ran.error["code"], program.states())


def test_one_that_is_processed_again_is_waited_for(program: Program) -> None:
    polls: list[str] = []

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            script.made = completed(headers["X-Idempotency-Key"], body, id="O-1")  # type: ignore[attr-defined]
            return as_json(200, {"id": "O-1", "status": "FAILED"})
        polls.append(path)
        made = script.made  # type: ignore[attr-defined]
        return as_json(200, made if len(polls) > 2 else {"id": "O-1", "status": "PROCESSING", "message": "Again."})

    with ScriptedServer(script) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        command = (*GIFT, "--batch", "bonus", "--no-lookup")
        assert 5 == program(*command).code
        ran = program(*command, "-o", "links")
    assert (0, 1, 1) == (ran.code, len(fake.posted), len(ran.out.split())), ran.err


def test_an_order_of_another_id_is_not_taken_for_it(program: Program) -> None:
    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            script.made = completed(headers["X-Idempotency-Key"], body, id="O-2")  # type: ignore[attr-defined]
            return as_json(200, {"id": "O-1", "status": "FAILED"})
        return as_json(200, script.made)  # type: ignore[attr-defined]

    with ScriptedServer(script) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        command = (*GIFT, "--batch", "bonus", "--no-lookup")
        assert (5, 5) == (program(*command).code, program(*command).code)
    assert ["failed"] == program.states()


def test_what_is_issued_again_beside_what_failed_is_one_list_in_json(program: Program, emulate: Emulate) -> None:
    emulate("failed@1")
    command = (*GIFT, "--batch", "bonus", "--json")
    assert "FAILED" == program(*command).json["status"]
    assert ["FAILED", "COMPLETED"] == [order["status"] for order in program(*command, "--again").json]
