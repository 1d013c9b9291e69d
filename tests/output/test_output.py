"""What is shown where: formats, streams that break, terminals of any width, text that would harm one."""

import csv
import io
import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from runa_cli.config.values import FORMATS
from runa_cli.emulator.server import Emulator
from tests.conftest import Emulate
from tests.support.broken_output import broken_output
from tests.support.program import GIFT, KEY, Program, links_at, orders_at, posts
from tests.support.ran import Ran
from tests.support.terminal import on_a_terminal

TWO = ("order", "create", "--face-value", "10", "--quantity", "2", "--product", "AMZ-US")


def test_json_is_runas_own_object_with_every_field(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = program(*GIFT, "--json")
    assert orders_at(emulator) == [ran.json]


def test_numbers_of_a_reply_come_out_as_they_came_in(program: Program) -> None:
    with answering(
        {"/order/O-1": '{"id":"O-1","status":"COMPLETED","total_price":10.10,"big":1e30,"items":[]}'}
    ) as url:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=url)
        out = program("order", "get", "O-1", "-o", "jsonl").out
    assert '{"id":"O-1","status":"COMPLETED","total_price":10.10,"big":1e30,"items":[]}\n' == out


def test_one_order_object_in_gives_one_object_out_and_a_list_a_list(program: Program, emulate: Emulate) -> None:
    emulate()
    item = (
        '{"face_value": 10, "distribution_method": {"type": "PAYOUT_LINK"},'
        ' "products": {"type": "SINGLE", "value": "AMZ-US"}}'
    )
    one = program("order", "create", "--file", "-", "--currency", "USD", "--json", stdin=f'{{"items": [{item}]}}')
    many = program("order", "create", "--file", "-", "--json", "--again", stdin=f"[{item}]")
    assert "COMPLETED" == one.json["status"]
    assert ["COMPLETED"] == [order["status"] for order in many.json]


def test_csv_has_a_row_for_each_gift_under_the_promised_header(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = program("order", "create", "--face-value", "10", "--email", "a@example.com", "--email", "b@example.com",
                  "--product", "AMZ-US", "--product", "AIRBNB-US", "-o", "csv")  # fmt: skip
    assert (
        "row,reference,email,face_value,currency,products,status,order_id,item_id,payout_url,expiry_date,price,error"
        == ran.out.splitlines()[0]
    )
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [("1", "a@example.com"), ("2", "b@example.com")] == [(row["row"], row["email"]) for row in rows]
    assert {"AMZ-US|AIRBNB-US"} == {row["products"] for row in rows}
    assert links_at(emulator) == {row["payout_url"] for row in rows}


def test_an_error_with_json_is_one_line_that_says_what_became_of_the_money(program: Program, emulate: Emulate) -> None:
    emulate()
    ran = program("order", "create", "--face-value", "0", "--email", "fred", "--json")
    assert (3, "") == (ran.code, ran.out)
    promised = "code message hint exit_code money batch idempotency_key order_id request_id details"
    assert set(promised.split()) == set(ran.error)
    assert ("invalid_input", 3, "not_issued") == tuple(ran.error[name] for name in ("code", "exit_code", "money"))
    assert ["--face-value", "--email", "--product"] == [detail["flag"] for detail in ran.error["details"]]


@pytest.mark.parametrize("arguments", [("order", "create", "--nonsense"), ("nonsense",), ("order", "get")])
def test_wrong_usage_exits_2_and_is_json_where_json_was_asked_for(program: Program, arguments: tuple[str, ...]) -> None:
    ran = program(*arguments, "--json")
    assert (2, "usage") == (ran.code, ran.error["code"])


@pytest.mark.parametrize("kind", ["closed", "full", "left"])
@pytest.mark.parametrize("output_format", FORMATS)
def test_an_output_that_breaks_exits_9_and_the_same_command_shows_the_result(
    program: Program, emulate: Emulate, kind: str, output_format: str
) -> None:
    emulator = emulate()
    with broken_output(kind) as stream:
        ran = program.fork(*GIFT, "-o", output_format, **stream)
    check_that_only_the_output_failed(program, emulator, ran)


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "| true"])
def test_an_output_that_a_shell_breaks_exits_9_and_the_same_command_shows_the_result(
    program: Program, emulate: Emulate, redirection: str
) -> None:
    emulator = emulate("slow:0.3@1")  # lets the reader of the pipe go away first
    command = " ".join([*program.command(*GIFT), "-o", "json"])
    ran = program.execute(["bash", "-c", f"{command} {redirection}; exit ${{PIPESTATUS[0]}}"])
    check_that_only_the_output_failed(program, emulator, ran)


def check_that_only_the_output_failed(program: Program, emulator: Emulator, ran: Ran) -> None:
    assert 9 == ran.code, ran.err
    assert "Traceback" not in ran.err
    assert "Exception ignored" not in ran.err
    assert ["completed"] == program.states()
    again = program(*GIFT, "-o", "links")
    assert 0 == again.code
    assert links_at(emulator) == set(again.out.split())
    assert 1 == posts(emulator)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(GIFT, 0), ((*GIFT, "--max-total", "1"), 6), (("batch", "show", "nope"), 3), (("order", "create", "--x"), 2)],
)
def test_messages_that_cannot_be_written_leave_the_exit_code_as_it_is(
    program: Program, emulate: Emulate, arguments: tuple[str, ...], code: int
) -> None:
    """It says what became of the money; a log on a full disk must not take that away."""
    emulator = emulate()
    command = " ".join(program.command(*arguments))
    ran = program.execute(["bash", "-c", f"{command} 2>/dev/full"])
    assert (code, posts(emulator)) == (ran.code, int(code == 0)), ran.out


def test_an_export_that_breaks_says_so_and_the_next_one_is_whole(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*TWO, "--batch", "bonus", "--quiet").code
    for output_format in FORMATS:
        for kind in ("closed", "full"):
            with broken_output(kind) as stream:
                ran = program.fork("batch", "export", "bonus", "-o", output_format, **stream)
            assert 9 == ran.code, ran.err
            assert "The output could not be written" in ran.err
            assert "Traceback" not in ran.err
    assert links_at(emulator) == set(program("batch", "export", "bonus", "-o", "links").out.split())


def test_the_message_of_a_broken_output_says_that_it_is_issued(program: Program, emulate: Emulate) -> None:
    emulate()
    with broken_output("full") as stream:
        ran = program.fork(*GIFT, "--json", **stream)
    assert (9, "issued") == (ran.error["exit_code"], ran.error["money"])


def test_closed_standard_error_does_not_disturb_the_order(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = program.execute(["bash", "-c", " ".join([*program.command(*TWO), "-o links 2>&-"])])
    assert 0 == ran.code
    assert links_at(emulator) == set(ran.out.split())


def test_results_go_whole_into_a_file_for_the_owner_alone(program: Program, emulate: Emulate) -> None:
    emulate()
    ran = program(*TWO, "--results", "links.csv", "-o", "csv")
    path = program.home / "links.csv"
    assert ran.out == path.read_text()
    assert 0o600 == path.stat().st_mode & 0o777
    assert [] == [path for path in program.home.iterdir() if path.name.startswith(".links")]


def test_results_that_cannot_be_written_exit_9_and_the_order_is_recorded(program: Program, emulate: Emulate) -> None:
    emulate()
    directory = program.home / "results"
    directory.mkdir()
    running = program.paused_at("return:Client.create_order", *TWO, "--results", "results/links.csv", "--json")
    running.pauses()
    directory.rmdir()
    running.go_on()
    ran = running.end()
    assert (9, "issued") == (ran.code, ran.error["money"])
    assert ["completed"] == program.states()


@pytest.mark.parametrize("columns", [20, 40, 80, 120, 200])
def test_ids_and_links_are_whole_on_a_terminal_of_any_width(program: Program, emulate: Emulate, columns: int) -> None:
    emulator = emulate()
    shown = on_a_terminal(program, *GIFT, columns=columns, env={"NO_COLOR": "1"})
    (order,) = orders_at(emulator)
    lines = [line.strip() for line in shown.splitlines()]
    assert any(order["id"] in line for line in lines)
    assert any(order["items"][0]["payout"]["url"] in line for line in lines)


def test_no_color_is_honoured_on_a_terminal(program: Program, emulate: Emulate) -> None:
    emulate()
    for wish in ({"NO_COLOR": "1"}, {}):
        arguments = GIFT if wish else (*GIFT, "--again", "--no-color")
        shown = on_a_terminal(program, *arguments, "--quiet", columns=100, env={"TERM": "xterm-256color", **wish})
        assert "\x1b" not in shown


def test_colour_and_hyperlinks_are_for_terminals(program: Program, emulate: Emulate) -> None:
    emulate()
    shown = on_a_terminal(program, *GIFT, columns=200, env={"TERM": "xterm-256color"}, new_process=True)
    assert "\x1b]8;" in shown
    assert "\x1b" not in program("batch", "list").out


def test_text_from_runa_cannot_command_the_terminal(program: Program) -> None:
    hostile = "\\u001b]0;owned\\u0007 [bold red]x[/] \\u202etxt.exe \\u009b31m"
    with answering({"/order/O-1": f'{{"id":"O-1","status":"PROCESSING","message":"{hostile}"}}'}) as url:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=url)
        for output_format in ("table", "json", "csv", "jsonl"):
            out = program("order", "get", "O-1", "-o", output_format).out
            assert not {"\x1b", "\x07", "\u202e", "\u009b"} & set(out)
            assert "[bold red]x[/]" in out


def test_a_formula_in_an_address_is_text_to_a_spreadsheet(program: Program, emulate: Emulate) -> None:
    emulate()
    row = 'face_value,product,email,reference,note\n10,AMZ-US,a@example.com,"=1+1","@SUM(A1)"\n'
    ran = program("order", "create", "--file", "-", "-o", "csv", stdin=row)
    (result,) = csv.DictReader(io.StringIO(ran.out))
    assert ("'=1+1", "'@SUM(A1)") == (result["reference"], result["note"])


def test_it_runs_without_home_locale_or_anything(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    command = program.command(*GIFT, "-o", "links")
    settings = (f"RUNA_BASE_URL={emulator.url}", "RUNA_ENV=local", f"RUNA_LEDGER={program.home}/ledger.db")
    ran = program.execute(["env", "-i", *settings, *command])
    assert 0 == ran.code, ran.err
    assert links_at(emulator) == set(ran.out.split())


def test_the_key_is_nowhere_in_what_is_shown_even_with_verbose(program: Program, emulate: Emulate) -> None:
    emulate("transient-5xx@1")
    playground = {"RUNA_ENV": "playground"}
    ran = program(*GIFT, "-v", **playground)
    assert 0 == ran.code
    assert "POST /order: 500" in ran.err
    assert KEY.partition(".")[2] not in ran.out + ran.err
    assert "fred@example.com" not in ran.err
    assert "/gift/" not in ran.err
    shown = program("config", **playground)
    assert KEY.partition(".")[2] not in shown.out + shown.err


class answering:  # noqa: N801 - reads as a context
    """Serve fixed bodies for paths."""

    def __init__(self, bodies: Mapping[str, str]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = bodies[self.path].encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_errors_are_json_when_the_environment_asks_for_json(program: Program) -> None:
    ran = program("ping", RUNA_OUTPUT="json")
    assert "no_key" == json.loads(ran.err)["error"]["code"]
    assert "--env local" in json.loads(ran.err)["error"]["hint"]


@pytest.mark.parametrize("columns", [30, 50, 80, 120])
def test_no_amount_or_state_of_a_list_is_lost_on_a_narrow_terminal(
    program: Program, emulate: Emulate, columns: int
) -> None:
    emulator = emulate()
    assert 0 == program(*TWO, "--batch", "bonus").code
    (order,) = orders_at(emulator)
    for command in (("batch", "list"), ("batch", "show", "bonus"), ("order", "list")):
        shown = on_a_terminal(program, *command, columns=columns, env={"NO_COLOR": "1"})
        assert "20.00 USD" in shown
        assert "completed" in shown.casefold()
        assert command == ("batch", "list") or order["id"] in shown
