"""Answers that no page documents: from proxies, from a Runa of tomorrow, from somebody who means harm."""

from typing import Any

import pytest

from tests.support.broken_output import broken_output
from tests.support.program import GIFT, KEY, Program
from tests.support.ran import Ran
from tests.support.scripted_server import Answer, Script, ScriptedServer, as_json, completed

TWO = ("order", "create", "--face-value", "10", "--quantity", "2", "--product", "AMZ-US")


def run(program: Program, script: Script, *arguments: str) -> tuple[Ran, ScriptedServer]:
    """Run the program against a script."""
    with ScriptedServer(script) as server:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=server.url, RUNA_API_KEY=KEY)
        return program(*arguments), server


def always(answer: Answer) -> Script:
    return lambda *_: answer


def after_a_lost_answer(second: Answer) -> Script:
    """Make the order and lose its answer; then say something else; then behave."""
    made: dict[str, Any] = {}
    seen: list[str] = []

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        assert (method, path) == ("POST", "/order")
        key = headers["X-Idempotency-Key"]
        made.setdefault(key, body)
        seen.append(key)
        if len(seen) == 1:
            return 200, {"Content-Length": "9999"}, b"{"
        return second if len(seen) == 2 else as_json(200, completed(key, made[key]))

    return script


def test_a_no_that_is_not_runas_own_proves_nothing_about_an_order_sent_before_it(program: Program) -> None:
    """A proxy's problem document has a `type` too; taking it for Runa's word would make a new key and pay twice."""
    ran, server = run(program, after_a_lost_answer(as_json(403, {"type": "about:blank", "title": "Forbidden"})), *GIFT)
    assert 0 == ran.code, ran.err
    assert 1 == len({key for key, _ in server.posted})
    assert ["completed"] == program.states()


def test_a_no_of_a_type_that_no_page_lists_is_no_final_one(program: Program) -> None:
    ran, server = run(
        program, always(as_json(400, {"type": "recipient_on_holiday", "message": "Not now."})), *GIFT, "--json"
    )
    assert (7, "unknown") == (ran.code, ran.error["money"])
    assert "recipient_on_holiday" in ran.error["message"]
    assert 1 == len({key for key, _ in server.posted})
    assert ["sent"] == program.states()


@pytest.mark.parametrize(
    "oddity",
    [
        {"created_at": 17.5},
        {"created_at": "0001-01-01T00:00:00+01:00"},
        {"description": 5},
        {"metadata": []},
        {"total_price": "NaN"},
        {"total_discount": {}},
        {"currency": None},
        {"completed_at": []},
        {"transaction_detail": 3},
        {"new_field": {"deep": [1, 2, {"er": None}]}},
    ],
)
def test_what_nothing_depends_on_may_be_anything(program: Program, oddity: dict[str, Any]) -> None:
    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        return as_json(200, completed(headers["X-Idempotency-Key"], body, **oddity))

    ran, _ = run(program, script, *GIFT, "-o", "links")
    assert 0 == ran.code, ran.err
    assert ran.out.startswith("https://links.example/")
    for output_format in ("table", "json", "csv"):
        shown = program("batch", "export", program("batch", "list", "--json").json[0]["batch"], "-o", output_format)
        assert 0 == shown.code, shown.err


@pytest.mark.parametrize(
    "headers",
    [
        {"Date": "Fri, 31 Dec 9999 23:59:59 -2359"},
        {"Date": "no date"},
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359"},
        {"Retry-After": "soon"},
        {"X-Amzn-Requestid": "\xff\x9b31m"},
        {"Location": "http://["},
    ],
)
@pytest.mark.parametrize("status", [200, 302, 307, 429, 500])
def test_strange_headers_never_end_in_a_defect(program: Program, headers: dict[str, str], status: int) -> None:
    def script(method: str, path: str, given: dict[str, str], body: Any) -> Answer:
        if method == "GET":
            return as_json(200, {"items": []})
        return as_json(status, completed(given["X-Idempotency-Key"], body), **headers)

    ran, _ = run(program, script, *GIFT, "--timeout", "1.5")
    assert ran.code in {0, 7}, ran.err
    assert program.states() in (["completed"], ["sent"])


def test_an_accepted_order_does_not_keep_the_next_one_from_being_sent(program: Program) -> None:
    """Runa settles none before it has all of them, and one is sent at a time."""
    made: dict[str, Any] = {}

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            order = completed(headers["X-Idempotency-Key"], body)
            made[order["id"]] = order
            return as_json(202, {"id": order["id"], "status": "PROCESSING"})
        order_id = path.rpartition("/")[2]
        return as_json(200, made[order_id] if len(made) == 3 else {"id": order_id, "status": "PROCESSING"})

    rows = "".join(f"10,p{number}@example.com,AMZ-US,part {number}\n" for number in range(3))
    with ScriptedServer(script) as server:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=server.url, RUNA_API_KEY=KEY)
        command = ("order", "create", "--file", "-", "--format", "csv", "--mode", "async", "--concurrency", "1")
        ran = program(*command, "--no-preflight", "-o", "links", stdin=f"face_value,email,product,description\n{rows}")
    assert (0, 3) == (ran.code, len(ran.out.split())), ran.err


def test_an_acceptance_that_names_another_order_is_doubted_and_the_own_order_found(program: Program) -> None:
    """Polling the foreign id for ever would leave our own order's links unreachable."""
    accepted: list[str] = []

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            accepted.append(headers["X-Idempotency-Key"])
            script.body = body  # type: ignore[attr-defined] # kept for the poll
            return as_json(202, {"id": "O-foreign" if len(accepted) == 1 else "O-own", "status": "PROCESSING"})
        key = accepted[0] if path == "/order/O-own" else "somebody-elses"
        request = {**script.body, "metadata": {"runa_cli_key": key}}  # type: ignore[attr-defined]
        return as_json(200, completed(key, request, id=path.rpartition("/")[2]))

    ran, server = run(program, script, *TWO, "--json")
    assert 0 == ran.code, ran.err
    assert "O-own" == ran.json["id"]
    assert 1 == len({key for key, _ in server.posted})


@pytest.mark.parametrize("status", ["COMPLETED", "PENDING", None])
def test_an_acceptance_is_taken_by_its_id_whatever_its_status_and_never_posted_again(
    program: Program, status: str | None
) -> None:
    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            script.made = completed(headers["X-Idempotency-Key"], body, id="O-1")  # type: ignore[attr-defined]
            return as_json(202, {"id": "O-1", "status": status})
        return as_json(200, script.made)  # type: ignore[attr-defined]

    ran, server = run(program, script, *TWO, "-o", "links")
    assert (0, 1) == (ran.code, len(server.posted)), ran.err
    assert 2 == len(ran.out.split())


def test_a_failed_order_of_somebody_else_is_not_taken_for_ours(program: Program) -> None:
    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        other = {**body["items"][0], "face_value": 77}
        return as_json(200, completed(headers["X-Idempotency-Key"], {"items": [other]}, status="FAILED"))

    ran, _ = run(program, script, *GIFT, "--timeout", "1.5", "--json")
    assert (7, "unknown") == (ran.code, ran.error["money"])
    assert ["sent"] == program.states()


def test_one_order_of_runas_is_never_bound_to_two_of_ours(program: Program) -> None:
    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        return as_json(200, completed("the-only", {"items": body["items"]}, id="O-1"))

    with ScriptedServer(script) as server:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=server.url, RUNA_API_KEY=KEY)
        assert 0 == program(*GIFT).code
        assert 7 == program(*GIFT, "--again", "--timeout", "1.5").code
    assert ["completed", "sent"] == program.states()


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ((500, {"type": "internal_server_error", "message": "Sorry."}), ""),
        (
            (200, completed("somebody-elses", {"items": []}, id="O-2")),
            ": Runa answered with another order (O-2) than O-1.",
        ),
    ],
    ids=["nothing", "another order"],
)
def test_a_lookup_that_did_not_see_the_order_does_not_say_that_there_is_none(
    program: Program, shown: tuple[int, Any], reason: str
) -> None:
    """On the belief that nothing was issued, it might be issued again."""

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            return as_json(500, {"type": "internal_server_error", "message": "Sorry."})
        if path.startswith("/order?"):
            entry = {"id": "O-1", "status": "COMPLETED", "currency": "USD", "description": None}
            return as_json(200, {"items": [entry], "pagination": {}})
        return as_json(*shown)

    ran, _ = run(program, script, *GIFT, "--timeout", "10", "--json")
    assert 7 == ran.code
    assert f"It could not be looked up{reason}" in ran.error["message"]


def test_a_list_without_an_end_does_not_hold_the_lookup_for_ever(program: Program) -> None:
    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            return as_json(500, {"type": "internal_server_error", "message": "Sorry."})
        entries = [{"id": "O-1", "status": "COMPLETED", "currency": "EUR"}]
        after = f"{len(path)}{path[-1:]}x"
        return as_json(200, {"items": entries, "pagination": {"cursors": {"after": after + path[-3:]}}})

    ran, _ = run(program, script, *GIFT, "--timeout", "3", "--json")
    assert (7, "unknown") == (ran.code, ran.error["money"])


def test_an_error_that_hides_its_detail_in_odd_shapes_is_final_all_the_same(program: Program) -> None:
    error = {"type": "validation_error", "message": None, "details": [{"location": ["items", 0]}, "x"]}
    ran, server = run(program, always(as_json(422, error)), *GIFT, "--json")
    assert (5, "validation_error", 1) == (ran.code, ran.error["code"], len(server.posted))


def test_a_batch_goes_on_when_one_of_its_answers_is_nonsense(program: Program) -> None:
    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if "bad" in body["items"][0]["distribution_method"]["email_address"]:
            return as_json(400, {"type": "insufficient_funds", "message": "\ud800"})
        return as_json(200, completed(headers["X-Idempotency-Key"], body))

    rows = "face_value,email,product,description\n10,bad@example.com,AMZ-US,a\n10,good@example.com,AMZ-US,b\n"
    with ScriptedServer(script) as server:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=server.url, RUNA_API_KEY=KEY)
        ran = program("order", "create", "--file", "-", "--no-preflight", "-o", "csv", stdin=rows)
    assert 8 == ran.code, ran.err
    assert ["rejected", "completed"] == program.states()


def test_the_verdict_on_the_order_wins_over_trouble_with_the_output(program: Program) -> None:
    error = {"type": "insufficient_funds", "message": "Too little."}
    directory = program.home / "results"
    directory.mkdir()

    def script(*_: object) -> Answer:
        if directory.exists():  # what can be written at the start need not be so at the end
            directory.rmdir()
        return as_json(400, error)

    with ScriptedServer(script) as server:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=server.url, RUNA_API_KEY=KEY)
        assert 5 == (ran := program(*GIFT, "--results", "results/x.csv")).code
        assert "could not be written" in ran.err
        for kind in ("full", "left", "closed"):
            with broken_output(kind) as stream:
                ran = program.fork(*GIFT, "-o", "csv", **stream)
            assert 5 == ran.code, ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("order", "create", "--batch", "\udcff", "--face-value", "10", "--product", "AMZ-US"),
        ("order", "get", "\udcff"),
        ("product", "get", "\udcff"),
    ],
)
def test_an_argument_that_is_no_text_is_wrong_usage(program: Program, arguments: tuple[str, ...]) -> None:
    assert 2 == program(*arguments, RUNA_ENV="local").code


def test_a_working_directory_that_is_gone_is_no_defect(program: Program) -> None:
    gone = program.home / "gone"
    gone.mkdir()
    command = " ".join(program.command("config"))
    ran = program.execute(
        ["bash", "-c", f"cd {gone} && rmdir {gone} && PYTHONPATH={':'.join(sys_path())} {command}"], PYTHONSAFEPATH="1"
    )
    assert 0 == ran.code, ran.err


def sys_path() -> list[str]:
    import sys
    from pathlib import Path

    return [str(Path(__file__).parents[2]), *filter(None, sys.path)]


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_a_help_text_or_a_version_that_cannot_be_written_is_an_error(program: Program, flag: str) -> None:
    ran = program.execute(["bash", "-c", " ".join([*program.command(flag), ">/dev/full"])])
    assert (9, "Error: The output could not be written: No space left on device.\n") == (ran.code, ran.err)


def test_an_accepted_order_whose_links_come_late_is_polled_on_and_not_posted_again(program: Program) -> None:
    polls: list[str] = []

    def script(method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if method == "POST":
            script.made = completed(headers["X-Idempotency-Key"], body, id="O-1")  # type: ignore[attr-defined]
            return as_json(202, {"id": "O-1", "status": "PROCESSING"})
        polls.append(path)
        made = script.made  # type: ignore[attr-defined]
        bare = [{**item, "payout": None} for item in made["items"]]
        return as_json(200, {**made, "items": bare} if len(polls) < 3 else made)

    ran, server = run(program, script, *TWO, "-o", "links")
    assert (0, 1, 3) == (ran.code, len(server.posted), len(polls)), ran.err
    assert 2 == len(ran.out.split())


def test_a_single_balance_in_place_of_a_list_is_shown(program: Program) -> None:
    ran, _ = run(program, always(as_json(200, {"balance": "12.50", "currency": "GBP"})), "balance", "--json")
    assert (0, [{"balance": "12.50", "currency": "GBP"}]) == (ran.code, ran.json)


def test_an_answer_that_is_no_balance_is_not_shown_as_one(program: Program) -> None:
    ran, _ = run(program, always(as_json(200, {"message": "Welcome"})), "balance", "--json")
    assert (7, "") == (ran.code, ran.out)
