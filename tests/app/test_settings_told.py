"""What the program says about settings that cannot be used: which, where it was set, and never a key."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, Program, posts
from tests.support.scripted_server import Answer, ScriptedServer, as_json

FLAT = ("order", "create", "--face-value", "10", "--email", "fred@example.com")


@pytest.mark.parametrize(
    "line", ["RUNA_MAX_TOTAL: 500", 'RUNA_MAX_TOTAL="500', "RUNA_MAXTOTAL=500", "runa_max_total=5"]
)
@pytest.mark.parametrize(
    "command", [GIFT, (*GIFT, "--dry-run"), ("ping",), ("config",), ("batch", "list"), ("batch", "resume", "--all")]
)
def test_a_cap_that_cannot_be_read_stops_every_command_with_one_line_of_json(
    program: Program, emulate: Emulate, line: str, command: tuple[str, ...]
) -> None:
    emulator = emulate()
    (program.home / ".env").write_text(f"# ours\n{line}\n")
    ran = program(*command, "--json")
    assert (4, "configuration", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert ".env, line 2" in ran.error["message"]
    assert (1, 0) == (len(ran.err.splitlines()), posts(emulator))
    assert not program.ledger.exists()


def test_the_name_of_a_proxy_that_would_be_taken_for_a_scheme_is_reported_at_once(program: Program) -> None:
    ran = program("ping", **PLAYGROUND, HTTPS_PROXY="proxy:8080")
    assert (4, True) == (ran.code, "HTTPS_PROXY (environment) must begin with http://" in ran.err)
    assert 4 != program("ping", **{**PLAYGROUND, "RUNA_TIMEOUT": "1"}, HTTPS_PROXY="127.0.0.1:1").code


WRONG_PLACES = [
    "RUNA_ENV", "RUNA_CURRENCY", "RUNA_PRODUCTS", "RUNA_BASE_URL", "RUNA_MODE", "RUNA_LEDGER", "RUNA_API_KEY_FILE",
    "RUNA_TEMPLATE_ID", "RUNA_API_VERSION",
]  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PLACES)
@pytest.mark.parametrize("output", [(), ("--json",), ("-v",)])
def test_a_key_in_the_wrong_setting_is_shown_nowhere(program: Program, name: str, output: tuple[str, ...]) -> None:
    settings = {"RUNA_ENV": "local", name: "wgabc.secret"}
    for command in (("config",), GIFT, (*GIFT, "--dry-run")):
        ran = program(*command, *output, **settings)
        assert 4 == ran.code, ran
        assert "secret" not in ran.out + ran.err
        assert name in ran.err


def test_a_key_as_the_host_of_the_base_url_is_not_shown(program: Program) -> None:
    settings = {"RUNA_API_KEY": "xxk.s", "RUNA_BASE_URL": "https://wgabc.secret/v2", "RUNA_TIMEOUT": "1"}
    for command in (("config", "--json"), ("ping", "-v"), (*GIFT, "--json"), (*GIFT, "-v")):
        ran = program(*command, **settings)
        assert "secret" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("setting", "rest", "expected"),
    [
        ("RUNA_CURRENCY=usd", ("--product", "AMZ-US"), "must be a currency code"),
        ("RUNA_CURRENCY=GBP", ("--product", "AMZ-US"), "is GBP, but the products are in USD"),
        ("RUNA_PRODUCTS=PT-1", ("--currency", "USD"), "must be a product code"),
        ("RUNA_PRODUCTS=AMZ-US,BAW-GB", (), "must all be of one currency"),
        ("RUNA_PRODUCTS=NOPE-US", ("--preflight",), "NOPE-US is not in the catalogue"),
        ("RUNA_TEMPLATE_ID=PT-1", ("--product", "AMZ-US"), "takes a redemption template"),
    ],
)
def test_a_mistake_in_a_setting_is_told_for_the_setting_and_not_for_a_flag_that_nobody_gave(
    program: Program, setting: str, rest: tuple[str, ...], expected: str
) -> None:
    name, _, value = setting.partition("=")
    (program.home / ".env").write_text(setting)
    (program.home / "in.csv").write_text("face_value,email\n10,ann@example.com\n20,ben@example.com\n")
    for command in ((*FLAT, *rest), ("order", "create", "--file", "in.csv", *rest)):
        ran = program(*command, "--env", "local", "--json")
        assert 3 == ran.code, ran
        if "row" not in ran.error["message"]:  # of what depends on the row, the row is named
            assert f"{name} (.env): {expected}" in ran.error["message"]
            assert f"{name} (.env)" == ran.error["details"][0]["setting"]
    ran = program(*FLAT, *rest, RUNA_ENV="local", **{name: value})
    assert 3 == ran.code
    assert f"{name} (.env)" not in ran.err
    assert f"{name} (environment): {expected}" in ran.err


def test_a_flag_is_still_told_as_a_flag_above_a_setting(program: Program) -> None:
    (program.home / ".env").write_text("RUNA_CURRENCY=USD\nRUNA_PRODUCTS=AMZ-US\n")
    ran = program(*FLAT, "--product", "AMZ_US!", "--currency", "usd", "--env", "local", "--json")
    assert {"--product", "--currency"} >= {detail["flag"] for detail in ran.error["details"]}


# --- the network's own variables ---------------------------------------------------------------------------------

PLAYGROUND = {"RUNA_API_KEY": "xxk.s", "RUNA_TIMEOUT": "30"}
SPELLINGS = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy", "Https_Proxy"]
MALFORMED = [
    "http://svc:Hunter2@127.0.0.1:99999",
    "http://svc:Hunter2/x9@127.0.0.1:8080",
    "http://svc:Hunter2#x9@127.0.0.1:8080",
    "http://svc:Hunter2?x9@127.0.0.1:8080",
    "http://svc:12/Hunter2@127.0.0.1:8080",
    "svc:Hunter2@127.0.0.1:port",
    "svc:Hunter2@proxy:8080",
    "http://svc:Hunter2@",
    "http://svc:Hunter2@[::1",
    "http:/svc:Hunter2@127.0.0.1:8080",
    "http://svc:Hunter2 @127.0.0.1:8080",
    "ftp://svc:Hunter2@127.0.0.1:8080",
    "http://svc:Hunter2\u20ac@127.0.0.1:8080",
]


@pytest.mark.parametrize(
    ("variable", "address"),
    [*((spelling, MALFORMED[0]) for spelling in SPELLINGS), *(("HTTPS_PROXY", address) for address in MALFORMED[1:])],
)
def test_the_address_of_a_proxy_that_is_none_is_reported_at_once_without_being_shown(
    program: Program, variable: str, address: str
) -> None:
    for command in (("ping", "-v"), ("config", "--json"), (*GIFT, "--dry-run", "--json")):
        ran = program(*command, **PLAYGROUND, **{variable: address})
        assert 4 == ran.code, ran
        assert f"{variable} (environment)" in ran.err
        assert [] == [word for word in ("Hunter2", "svc", "urllib3", "requests") if word in ran.out + ran.err]
    assert not program.ledger.exists()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("output", [("--json",), ("-v",)])
def test_the_password_of_a_proxy_that_cannot_be_reached_is_not_shown(
    program: Program, variable: str, output: tuple[str, ...]
) -> None:
    settings = {**PLAYGROUND, "RUNA_TIMEOUT": "1", variable: "http://svc:Hunter2@127.0.0.1:1"}
    for command in (("ping",), GIFT):
        ran = program(*command, *output, **settings)
        assert 7 == ran.code
        assert "the proxy could not be used: connection refused" in ran.err
        assert "Hunter2" not in ran.out + ran.err
    assert ["prepared"] == program.states()


def test_a_proxy_that_refuses_the_password_is_named_without_it(program: Program) -> None:
    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_error(407, "Hunter2 is wrong")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://svc:Hunter2@127.0.0.1:{server.server_port}"
    ran = program("ping", "-v", **{**PLAYGROUND, "RUNA_TIMEOUT": "1", "HTTPS_PROXY": address})
    server.shutdown()
    server.server_close()
    expected = "the proxy refused the connection (HTTP 407: it needs another user name or password)"
    assert (7, True, False) == (ran.code, expected in ran.err, "Hunter2" in ran.err)


def test_a_proxy_of_another_kind_is_refused_where_it_would_be_used(program: Program) -> None:
    ran = program("ping", **PLAYGROUND, ALL_PROXY="socks4://svc:Hunter2@127.0.0.1:1")
    assert (4, True, False) == (ran.code, "ALL_PROXY (environment)" in ran.err, "Hunter2" in ran.err)
    settings = {**PLAYGROUND, "RUNA_TIMEOUT": "1", "HTTPS_PROXY": "http://127.0.0.1:1"}
    assert 7 == program("ping", **settings, ALL_PROXY="socks4://127.0.0.1:1").code


def test_a_proxy_that_is_not_used_stops_nobody(program: Program, emulate: Emulate) -> None:
    assert 0 == program("ping", RUNA_ENV="local", HTTPS_PROXY="http://svc:Hunter2@127.0.0.1:99999").code
    emulate()
    assert 0 == program("ping", HTTPS_PROXY="http://svc:Hunter2@127.0.0.1:99999").code
    away = {**PLAYGROUND, "RUNA_TIMEOUT": "1", "RUNA_BASE_URL": "https://gateway.invalid/v2"}
    assert 7 == program("ping", **away, HTTPS_PROXY="http://127.0.0.1:99999", NO_PROXY="gateway.invalid").code


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_that_cannot_be_read_are_reported_at_once(program: Program, variable: str) -> None:
    (program.home / "empty.pem").write_text("nothing\n")
    reasons = {"nowhere.pem": "No such file or directory", "nowhere/": "No such file or directory", "empty.pem": "PEM"}
    for path, reason in reasons.items():
        for command in (("ping", "-v"), (*GIFT, "--json")):
            ran = program(*command, **PLAYGROUND, **{variable: path})
            assert 4 == ran.code, ran
            assert f"{variable} (environment) names" in ran.err
            assert reason in ran.err
    assert not program.ledger.exists()
    assert 0 == program("ping", RUNA_ENV="local", **{variable: "nowhere.pem"}).code


@pytest.mark.parametrize("command", [("ping",), GIFT, (*GIFT, "--batch", "bonus")])
def test_another_host_without_the_path_of_the_api_is_told_to_look_at_the_base_url(
    program: Program, emulate: Emulate, command: tuple[str, ...]
) -> None:
    """It is no matter of trying again later, nor of leaving a look-up out."""
    base = emulate().url.removesuffix("/v2")
    ran = program(*command, "--json", RUNA_BASE_URL=base)
    assert "usually ends with /v2" in ran.error["hint"]
    assert (ran.code in {4, 5}, "not_issued") == (True, ran.error["money"])
    assert "--no-lookup" not in ran.err


@pytest.mark.parametrize(
    "url", ["https://api.runa.io", "https://playground.runa.io/v1", "https://api.runa.io/v2/order"]
)
def test_a_base_url_of_runa_without_its_version_is_reported_at_once_and_not_as_a_revoked_key(
    program: Program, url: str
) -> None:
    for ran in (
        program("ping", "--json", **PLAYGROUND, RUNA_BASE_URL=url),
        program(*GIFT, "--json", **PLAYGROUND, RUNA_BASE_URL=url),
    ):
        assert (4, "configuration") == (ran.code, ran.error["code"])
        assert "RUNA_BASE_URL (environment) must end with /v2" in ran.error["message"]
        assert "revoked" not in ran.err
    assert not program.ledger.exists()


def test_an_answer_that_is_not_of_the_api_is_not_called_a_revoked_key(program: Program) -> None:
    def elsewhere(*_: object) -> Answer:
        return as_json(404, {"type": "not_found", "message": "No such page"})

    with ScriptedServer(elsewhere) as fake:
        ran = program(*GIFT, RUNA_ENV="local", RUNA_BASE_URL=fake.url, RUNA_TIMEOUT="1")
        assert (7, False) == (ran.code, "revoked" in ran.err)
