"""Only Runa's own refusal is one: whatever is on the way to Runa may pass an order on and answer with a 4xx."""

from typing import Any

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, KEY, Program, orders_at
from tests.support.scripted_server import Answer, ScriptedServer, as_json, completed

PROBLEMS = [
    (400, {"type": "about:blank", "title": "Bad Request"}),
    (400, {"type": "recipient_on_holiday", "message": "Not now."}),
    (401, {"type": "unauthorized", "message": "Log in first."}),
    (403, {"type": "about:blank", "title": "Forbidden"}),
    (403, {"type": "forbidden", "message": "Blocked by the policy of your company."}),
    (403, {"message": "no type"}),
    (404, {"type": "not_found", "message": "There is no such path."}),
    (407, {"type": "https://example.com/problems/proxy", "title": "Proxy Authentication Required"}),
    (413, {"type": "about:blank"}),
    (451, {"type": "legal"}),
]


class Middleman:
    """Passes every order on to Runa, and answers with a problem of its own while it is `blocking`."""

    def __init__(self, status: int, problem: dict[str, Any], *, lists: bool = False) -> None:
        self.problem = as_json(status, problem)
        self.blocking = True
        self.lists = lists
        self.made: dict[str, dict[str, Any]] = {}

    def __call__(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        """Answer a request."""
        if method == "POST":
            key = headers["X-Idempotency-Key"]
            self.made.setdefault(key, completed(key, body))
            return self.problem if self.blocking else as_json(200, self.made[key])
        if not self.lists:
            return self.problem
        if path.startswith("/order?"):
            shown = [{**order, "description": None} for order in self.made.values()]
            return as_json(200, {"items": shown, "pagination": {}})
        return as_json(200, next(order for order in self.made.values() if path.endswith(order["id"])))


@pytest.mark.parametrize(("status", "problem"), PROBLEMS)
def test_an_order_that_a_middleman_passed_on_is_not_paid_again(
    program: Program, status: int, problem: dict[str, Any]
) -> None:
    middleman = Middleman(status, problem)
    with ScriptedServer(middleman) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        first = program(*GIFT, "--json")
        assert (7, "unknown") == (first.code, first.error["money"])
        assert ["sent"] == program.states()
        assert 7 == program(*GIFT).code
        middleman.blocking = False
        ran = program(*GIFT, "-o", "links")
    assert 0 == ran.code, ran.err
    assert 1 == len(middleman.made)
    assert ["completed"] == program.states()


def test_an_edited_batch_does_not_replace_an_order_that_a_middleman_passed_on(program: Program) -> None:
    rows = "face_value,email,product\n10,ann@example.com,AMZ-US\n"
    middleman = Middleman(403, {"type": "forbidden"})
    command = ("order", "create", "--file", "-", "--format", "csv", "--batch", "bonus", "--no-preflight", "--no-lookup")
    with ScriptedServer(middleman) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        assert 7 == program(*command, stdin=rows).code
        middleman.blocking = False
        ran = program(*command, stdin=rows + "10,bob@example.com,AMZ-US\n")
    assert 0 == ran.code, ran.err
    paid = [
        item["distribution_method"]["email_address"] for order in middleman.made.values() for item in order["items"]
    ]
    assert ["ann@example.com", "bob@example.com"] == sorted(paid)


def test_an_order_behind_a_middleman_that_refuses_its_answer_is_found_at_runa(program: Program) -> None:
    middleman = Middleman(403, {"type": "about:blank"}, lists=True)
    with ScriptedServer(middleman) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        ran = program(*GIFT, "-o", "links")
    assert (0, 1) == (ran.code, len(ran.out.split())), ran.err
    assert "was found at Runa by its stamp" in ran.err


@pytest.mark.parametrize(
    ("status", "kind", "header"),
    [
        (401, "unauthorized", "X-Amzn-Requestid"),
        (401, "invalid_api_key", "x-amzn-requestid"),
        (403, "forbidden", "X-Amzn-RequestId"),
        (404, "not_found", "X-Amzn-Requestid"),
        (400, "invalid_version", "X-Amzn-Requestid"),
        (410, "version_removed", "X-Amzn-Requestid"),
    ],
)
def test_a_refusal_by_runas_gateway_keeps_the_order_and_names_the_request(
    program: Program, status: int, kind: str, header: str
) -> None:
    answer = as_json(status, {"type": kind, "message": "No."}, **{header: "request-17"})
    with ScriptedServer(lambda *_: answer) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        ran = program(*GIFT, "--json")
    assert (4, kind, "not_issued", "request-17") == (
        ran.code, ran.error["code"], ran.error["money"], ran.error["request_id"],
    )  # fmt: skip
    assert (1, ["prepared"]) == (len(fake.posted), program.states())


def test_a_batch_that_runas_gateway_refused_names_a_request(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    rows = "face_value,email,product,description\n" + "".join(
        f"10,p{number}@example.com,AMZ-US,{number}\n" for number in range(3)
    )
    command = ("order", "create", "--file", "-", "--format", "csv", "--no-preflight", "--concurrency", "1", "--json")
    ran = program(*command, stdin=rows, RUNA_ENV="playground", RUNA_API_KEY="xxtests.revoked")
    assert (4, "not_issued") == (ran.code, ran.error["money"])
    assert ran.error["request_id"]
    assert [ran.error["request_id"]] == [detail["request_id"] for detail in ran.error["details"]]
    assert [] == orders_at(emulator)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "insufficient_funds"), (400, "bad_request"), (403, "ordering_restricted"), (422, "validation_error")],
)
def test_runas_own_refusal_of_the_order_is_final(program: Program, status: int, kind: str) -> None:
    with ScriptedServer(lambda *_: as_json(status, {"type": kind, "message": "No."})) as fake:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_API_KEY=KEY)
        ran = program(*GIFT, "--json")
    assert (5, kind, "not_issued", 1) == (ran.code, ran.error["code"], ran.error["money"], len(fake.posted))
    assert ["rejected"] == program.states()
