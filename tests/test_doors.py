"""Nobody gets in and no secret gets out: keys, settings files, proxies, redirects, files on disk."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.fake import Answer, Fake, as_json
from tests.program import GIFT, KEY, Program

SECRET = KEY.partition(".")[2]


def test_the_secret_of_the_key_is_in_no_output_log_ledger_or_error(program: Program, emulate: Emulate) -> None:
    emulate("transient-5xx@1", "lost-after@2", "cut-close@3", "429-retry-after@4")
    playground = {"RUNA_ENV": "playground"}
    outputs = []
    for arguments in (
        (*GIFT, "-v", "--timeout", "20"),
        (*GIFT, "-v", "--json"),
        ("order", "create", "--face-value", "1", "--product", "NOPE-US", "-v", "--json"),
        ("order", "get", "O-1", "-v", "--json"),
        ("ping", "-v", "--timeout", "0.001"),
        (*GIFT, "--again", "--dry-run", "--json"),
        ("config",),
        ("batch", "list", "--json"),
    ):
        ran = program(*arguments, **playground)
        outputs.append(ran.out + ran.err)
    assert not any(SECRET in text for text in outputs)
    files = [path for path in program.home.rglob("*") if path.is_file()]
    assert len(files) >= 1
    assert not any(SECRET.encode() in path.read_bytes() for path in files)


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(program: Program) -> None:
    ran = program("ping", "--json", RUNA_API_KEY="xxa.secret\u2603part")
    assert (4, "configuration") == (ran.code, ran.error["code"])
    assert "secret" not in ran.err


def test_a_key_file_that_others_can_read_is_warned_about(program: Program, emulate: Emulate) -> None:
    emulate()
    path = program.home / "runa.key"
    path.write_text(KEY + "\n")
    del program.env["RUNA_API_KEY"]
    settings = {"RUNA_ENV": "playground", "RUNA_API_KEY_FILE": str(path)}
    path.chmod(0o644)
    assert f"chmod 600 {path}" in program("ping", **settings).err
    path.chmod(0o600)
    kept = program("ping", **settings)
    assert (0, "") == (kept.code, kept.err)


def test_a_parents_settings_file_is_not_read(program: Program) -> None:
    (program.home / ".env").write_text(f"RUNA_API_KEY={KEY}\n")
    inner = program.home / "inner"
    inner.mkdir()
    ran = Program(inner, {"HOME": str(program.home)})("ping", "--json")
    assert (4, "no_key") == (ran.code, ran.error["code"])


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v2",
        "https://evil.example\\\\.runa.io/v2",
        "https://runa.io.evil.example",
        "https://api.runa.io@evil.example",
        "http://api.runa.io/v2",
        "https://evil.example#.runa.io",
        "https://evilruna.io",
    ],
)
def test_a_settings_file_cannot_name_another_host(program: Program, url: str) -> None:
    (program.home / ".env").write_text(f"RUNA_API_KEY={KEY}\nRUNA_BASE_URL={url}\n")
    ran = program("ping", "--json", "--timeout", "2")
    assert (4, "configuration") == (ran.code, ran.error["code"])


def test_a_real_key_is_not_shown_to_the_emulator(program: Program) -> None:
    assert 0 == program(*GIFT, "--env", "local", RUNA_API_KEY="wgreal.live-secret").code
    assert not any(b"live-secret" in path.read_bytes() for path in program.home.rglob("*") if path.is_file())
    assert "wgreal" not in program("batch", "show", program("batch", "list", "--json").json[0]["batch"], "--json").out


def test_proxy_variables_are_honoured_but_never_for_this_machine(program: Program, emulate: Emulate) -> None:
    """Over plain http to loopback, a proxy would be shown the key."""
    seen: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            seen.append(self.path)
            self.send_error(502)

        do_GET = do_POST = do_CONNECT  # noqa: N815 - the names of the base class

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy = f"http://127.0.0.1:{server.server_port}"
    proxies = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "http_proxy": proxy, "https_proxy": proxy}
    emulate()
    assert 0 == program(*GIFT, **proxies).code
    assert [] == seen
    away = {"RUNA_ENV": "playground", "RUNA_BASE_URL": "https://gateway.example.test/v2", **proxies}
    ran = program(*GIFT, "--again", "--timeout", "1", "--json", **away)
    assert (7, "not_issued") == (ran.code, ran.error["money"])
    assert {"gateway.example.test:443"} == set(seen)
    server.shutdown()
    server.server_close()


def test_a_password_of_netrc_is_not_sent_along(program: Program) -> None:
    netrc = program.home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password netrc-password\n")
    netrc.chmod(0o600)
    seen: list[set[str]] = []

    def script(method: str, path: str, headers: dict[str, str], body: object) -> Answer:
        seen.append(set(headers))
        return as_json(200, {"message": "pong"})

    with Fake(script) as fake:
        assert 0 == program("ping", RUNA_ENV="local", RUNA_BASE_URL=fake.url).code
    (headers,) = seen
    assert "X-Api-Key" in headers
    assert "Authorization" not in headers


def test_everything_on_disk_is_for_its_owner_alone_whatever_the_umask(program: Program) -> None:
    command = " ".join(program.command(*GIFT, "--env", "local", "--results", "links.csv"))
    assert 0 == program.execute(["bash", "-c", f"umask 000; {command}"]).code
    data = program.home / ".local/share/runa"
    assert 0o700 == data.stat().st_mode & 0o777
    assert {0o600} == {path.stat().st_mode & 0o777 for path in [*data.iterdir(), program.home / "links.csv"]}


def test_a_results_file_replaces_a_link_and_not_what_it_points_to(program: Program) -> None:
    target = program.home / "precious"
    target.write_text("untouched")
    (program.home / "links.csv").symlink_to(target)
    assert 0 == program(*GIFT, "--env", "local", "--results", "links.csv").code
    assert "untouched" == target.read_text()
    assert not Path(program.home / "links.csv").is_symlink()
