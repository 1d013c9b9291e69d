"""Keys, versions and paths: what is looked at before an order is."""

import pytest

from runa_cli.emulator.answers import Answer
from tests.emulator.calls import Caller, kind, order, parsed


def test_ping_answers_pong(caller: Caller) -> None:
    assert caller.get("/ping") == {"message": "pong"}


@pytest.mark.parametrize("key", [None, "", "  "])
def test_no_key_is_unauthorized(caller: Caller, key: str | None) -> None:
    caller.api_key = key
    assert kind(caller.call("GET", "/ping")) == (401, "unauthorized")


@pytest.mark.parametrize("key", ["nonsense", "xx", "xxabc", "xxabc.", ".secret", "abcde.secret", "xxabc.revoked"])
def test_a_key_that_is_none_or_revoked_is_forbidden(caller: Caller, key: str) -> None:
    caller.api_key = key
    assert kind(caller.call("GET", "/ping")) == (403, "forbidden")


@pytest.mark.parametrize("key", ["xxabc.secret", "XXabc.s~e.c!", "wgabc.secret", "WGabc.secret"])
def test_keys_of_both_environments_are_taken(caller: Caller, key: str) -> None:
    caller.api_key = key
    assert caller.call("GET", "/ping").status == 200


def test_the_key_is_looked_at_before_path_version_and_body(caller: Caller) -> None:
    caller.api_key = None
    for answer in (
        caller.call("GET", "/nothing"),
        caller.call("POST", "/order", b"{", X_Idempotency_Key="k"),
        caller.call("GET", "/ping", X_Api_Version="1999-01-01"),
    ):
        assert kind(answer) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1999-01-01", (400, "invalid_version")),
        ("2023-01-16", (410, "version_removed")),
        ("2023-07-27", (410, "version_removed")),
    ],
)
def test_other_versions_are_refused(caller: Caller, version: str, expected: tuple[int, str]) -> None:
    assert expected == kind(caller.call("GET", "/ping", X_Api_Version=version))


def test_the_version_is_named_in_answers(caller: Caller) -> None:
    answer = caller.call("GET", "/ping", X_Api_Version="2024-02-05")
    assert answer.headers["X-Api-Version"] == "2024-02-05"


def traced(answer: Answer) -> tuple[bool, bool]:
    return "X-Api-Version" in answer.headers, "X-Amzn-Requestid" in answer.headers


def test_errors_of_the_application_carry_version_and_request_id(caller: Caller) -> None:
    assert traced(caller.call("GET", "/nothing")) == (True, True)
    assert traced(caller.post(b"{")) == (True, True)
    assert traced(caller.post(order(), key="other")) == (True, True)


@pytest.mark.parametrize(("key", "errortype"), [("", "UnauthorizedException"), ("x", "AccessDeniedException")])
def test_errors_of_the_gateway_carry_a_request_id_and_no_version(caller: Caller, key: str, errortype: str) -> None:
    caller.api_key = key
    answer = caller.call("GET", "/ping")
    assert traced(answer) == (False, True)
    assert answer.headers["X-Amzn-Errortype"] == errortype


def test_every_answer_has_a_request_id_of_its_own(caller: Caller) -> None:
    ids = {caller.post(order()).headers["X-Amzn-Requestid"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/orders"),
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/ping/"),
        ("DELETE", "/order/O-01H5WQGHKCBB85MQFM68S9KJ5Q"),
        ("PUT", "/order"),
        ("POST", "/ping"),
        ("GET", "/order/estimate"),
        ("GET", "/order/a/b"),
    ],
)
def test_what_is_not_offered_is_not_found(caller: Caller, method: str, target: str) -> None:
    answer = caller.call(method, target)
    assert kind(answer) == (404, "not_found")
    assert list(parsed(answer)) == ["type", "message", "help"]


def test_the_balance_may_be_asked_for_with_a_slash(caller: Caller) -> None:
    assert caller.get("/balance/?currency=EUR") == {"balance": "1000000.00", "currency": "EUR"}
