"""Nobody gets in and no secret gets out: keys, settings files, proxies, redirects, files on disk."""

import os
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, KEY, Program, posts, wait_for
from tests.support.ran import LONGEST
from tests.support.scripted_server import Answer, ScriptedServer, as_json, completed
from tests.support.system_faults import needs

SECRET = KEY.partition(".")[2]


# Commands that talk or record, with an exit code that each must have: what never runs tests nothing.
COMMANDS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (0, (*GIFT, "-v", "--timeout", "20")),
    (6, (*GIFT, "-v", "--json")),
    (0, (*GIFT, "-v", "--batch", "bonus", "--results", "links.csv")),
    (5, ("order", "create", "--face-value", "1", "--product", "NOPE-US", "-v", "--json")),
    (3, ("order", "create", "--face-value", "0", "--product", "AMZ-US", "-v", "--json")),
    (0, (*GIFT, "--again", "--dry-run", "--json")),
    (0, (*GIFT, "--again", "--dry-run")),
    (5, ("order", "estimate", "--face-value", "10", "--product", "AMZ-US", "-v")),
    (5, ("order", "get", "O-1", "-v", "--json")),
    (0, ("order", "list", "-v", "--json")),
    (0, ("product", "list", "-v", "-o", "csv")),
    (0, ("balance", "-v")),
    (4, ("ping", "-v", "--env-file", "missing.env")),
    (0, ("config", "--json")),
    (0, ("batch", "list", "--json")),
    (0, ("batch", "show", "bonus", "--json")),
    (0, ("batch", "export", "bonus", "--json")),
    (0, ("batch", "resume", "--all", "-v")),
)
# Where a defect would have the key at hand: the headers of an order, its answer, the settings, the result.
DEFECTS = ("return:Endpoint.headers", "call:classify_order_answer", "return:Session.checked", "call:show_batch")


def test_the_secret_of_the_key_is_in_no_output_log_error_or_file(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    emulate("transient-5xx@1", "lost-after@2", "cut-close@3", "429-retry-after@5")
    playground = {"RUNA_ENV": "playground"}
    shown = {}
    for code, arguments in COMMANDS:
        ran = program(*arguments, **playground)
        assert code == ran.code, (arguments, ran)
        shown[arguments] = ran.out + ran.err
    ran = program("ping", "-v", "--timeout", "0.5", **playground, RUNA_BASE_URL="http://127.0.0.1:1")
    assert 7 == ran.code
    shown[("unreachable",)] = ran.out + ran.err
    for point in DEFECTS:
        ran = program.broken_at(point, *GIFT, "--again", "-v", **playground)
        assert 1 == ran.code, (point, ran)
        assert "This is a defect" in ran.err
        shown[(point,)] = ran.out + ran.err
    program.env.update(playground)
    assert -9 == program.killed_at("return:Client.create_order", *GIFT, "--again", "--batch", "killed").code
    assert [] == [arguments for arguments, text in shown.items() if SECRET in text]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = " ".join(path.name for path in files)
    expected = ("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-claims", "account.db", "links.csv")
    assert [] == [name for name in (*expected, "catalogue-") if name not in names]
    assert [] == [path for path in files if SECRET.encode() in path.read_bytes()]


def test_a_defect_in_an_order_shows_no_link_address_or_key_not_even_in_the_log(
    program: Program, emulate: Emulate
) -> None:
    """The text of an exception may hold whatever the program worked on; where it happened is enough to report it."""
    emulate()
    for verbose in ((), ("-v",)):
        ran = program.broken_at("call:AnswerRecorder.record", *GIFT, "--again", *verbose, RUNA_ENV="playground")
        assert 1 == ran.code
        assert "code_points.py" in ran.err
        assert not [secret for secret in (SECRET, "/gift/", "fred@example.com", "Traceback") if secret in ran.err]


def test_an_order_in_flight_shows_its_secrets_to_no_process_list_no_child_and_nobody_else(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate("slow:30@1")
    usual = os.umask(0)
    try:
        running = program.start(*GIFT)
    finally:
        os.umask(usual)
    wait_for(lambda: posts(emulator) >= 1, running)
    process = Path(f"/proc/{running.pid}")
    assert SECRET.encode() not in (process / "cmdline").read_bytes()
    assert SECRET.encode() in (process / "environ").read_bytes()
    opened = {handle.name: handle.read_text() for handle in (process / "fdinfo").iterdir()}
    inherited = [number for number, info in opened.items() if not _flags(info) & os.O_CLOEXEC]
    assert {"0", "1", "2"} == set(inherited), "a program that it starts would hold the ledger or the connection"
    assert 6 <= len(opened)
    files = [*program.ledger.parent.iterdir(), program.mark]
    modes = {path.name: path.stat().st_mode & 0o777 for path in files}
    names = ("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-claims", program.mark.name)
    assert dict.fromkeys(names, 0o600) == modes
    emulator.hurry()
    running.communicate(timeout=LONGEST)
    assert 0 == running.returncode


def _flags(info: str) -> int:
    (line,) = [line for line in info.splitlines() if line.startswith("flags:")]
    return int(line.split()[1], 8)


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


def test_a_settings_file_with_the_key_that_others_can_read_is_warned_about(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    program.env.clear()
    path = program.home / ".env"
    path.write_text(f"RUNA_API_KEY={KEY}\nRUNA_BASE_URL={emulator.url}\n")
    path.chmod(0o644)
    warned = program("ping")
    assert (0, True) == (warned.code, "chmod 600 .env" in warned.err)
    assert "chmod 600 .env" not in program("ping", RUNA_API_KEY=KEY).err
    named = program("ping", "--env-file", str(path))
    assert f"chmod 600 {path}" in named.err
    path.chmod(0o600)
    kept = program("ping")
    assert (0, "") == (kept.code, kept.err)


def test_a_named_settings_file_replaces_the_one_of_the_directory_and_has_no_more_rights(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    program.env.clear()
    (program.home / ".env").write_text("RUNA_API_KEY=xxother.key\nRUNA_BASE_URL=http://127.0.0.1:1\n")
    named = program.home / "named.env"
    named.write_text(f"RUNA_API_KEY={KEY}\nRUNA_BASE_URL={emulator.url}\n")
    assert 0 == program("ping", "--env-file", "named.env").code
    named.write_text(f"RUNA_API_KEY={KEY}\nRUNA_BASE_URL=https://evil.example/v2\n")
    ran = program("ping", "--env-file", "named.env", "--json")
    assert (4, "configuration") == (ran.code, ran.error["code"])


@pytest.mark.parametrize("url", ["http://gateway.example.test/v2", "http://192.0.2.1", "http://127.0.0.1.example.test"])
def test_plain_http_leaves_this_machine_not_even_by_the_environments_wish(program: Program, url: str) -> None:
    ran = program("ping", "--json", RUNA_API_KEY=KEY, RUNA_BASE_URL=url, http_proxy="http://127.0.0.1:1")
    assert (4, "configuration") == (ran.code, ran.error["code"])
    assert "must use https" in ran.error["message"]


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_is_not_followed_to_another_host(program: Program, status: int) -> None:
    """The library would carry the key along: the header is none that it knows for a secret."""
    lured: list[str] = []

    def elsewhere(method: str, path: str, headers: dict[str, str], body: object) -> Answer:
        lured.append(f"{method} {path} {headers}")
        return as_json(200, completed("key", body) if body else {"items": []})

    with ScriptedServer(elsewhere) as other:
        away = {"Location": f"{other.url}/order"}
        with ScriptedServer(lambda *_: (status, away, b"")) as server:
            program.env.update(RUNA_ENV="local", RUNA_BASE_URL=server.url, RUNA_API_KEY=KEY)
            ran = program(*GIFT, "--timeout", "1.5", "--json")
            assert (7, "unknown") == (ran.code, ran.error["money"])
            for question in (("order", "get", "O-1"), ("balance",)):
                assert program(*question, RUNA_TIMEOUT="1.5").code in {5, 7}
        assert [] == lured
        assert len(server.posted) >= 1


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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a certificate that nobody signed, with its key, for a gateway and for this machine."""
    path = tmp_path_factory.mktemp("tls") / "self-signed.pem"
    names = "subjectAltName=DNS:gateway.example.test,IP:127.0.0.1"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", names, "-keyout", str(path), "-out", str(path.with_suffix(".crt"))],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@contextmanager
def gateway(certificate: Path) -> Iterator[tuple[int, list[str]]]:
    """Serve TLS on loopback; yields the port, and the keys that it was shown."""
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers["X-Api-Key"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"message":"pong"}')

        do_POST = do_GET  # noqa: N815 - the names of the base class

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: whoever does not trust the certificate goes away."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    # Without the handshake at once: the accepting thread would hang on, or die of, a client that leaves.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.server_port, keys
    server.shutdown()
    server.server_close()


@contextmanager
def tunnel(port: int) -> Iterator[tuple[str, list[str], bytearray]]:
    """Be a proxy whose tunnels all lead to one port; yields its URL, what was asked of it, and what it overheard."""
    asked: list[str] = []
    overheard = bytearray()

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            overheard.extend(bytes(self.headers))
            self.send_response(200)
            self.end_headers()
            with socket.create_connection(("127.0.0.1", port)) as far, suppress(OSError):
                while piece := _next_piece(self.connection, far):
                    overheard.extend(piece)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked, overheard
    server.shutdown()
    server.server_close()


def _next_piece(near: socket.socket, far: socket.socket) -> bytes:
    """Pass on what comes next from either side, and return it; nothing at the end."""
    readable, _, _ = select.select([near, far], [], [])
    piece: bytes = readable[0].recv(65536)
    (far if readable[0] is near else near).sendall(piece)
    return piece


@needs("openssl")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("through_a_proxy", [False, True])
def test_a_certificate_must_verify_and_may_be_trusted_by_the_machines_own_variables(
    program: Program, certificate: Path, variable: str, through_a_proxy: bool
) -> None:
    """A proxy, which https goes through wherever it leads to another machine, sees only where it leads."""
    with gateway(certificate) as (port, keys), tunnel(port) as (proxy, asked, overheard):
        program.env.update(RUNA_ENV="playground", RUNA_API_KEY=KEY, https_proxy=proxy)
        host = "gateway.example.test" if through_a_proxy else f"127.0.0.1:{port}"
        program.env["RUNA_BASE_URL"] = f"https://{host}"
        ran = program(*GIFT, "--timeout", "3", "--json")
        assert (7, "not_connected", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
        assert "certificate" in ran.error["message"]
        assert ["prepared"] == program.states()
        assert [] == keys
        trusted = program("ping", **{variable: str(certificate.with_suffix(".crt"))})
        assert (0, [KEY]) == (trusted.code, keys), trusted.err
    assert ({"gateway.example.test:443"} if through_a_proxy else set()) == set(asked)
    assert SECRET.encode() not in overheard


def test_a_password_of_netrc_is_not_sent_along(program: Program) -> None:
    netrc = program.home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password netrc-password\n")
    netrc.chmod(0o600)
    seen: list[set[str]] = []

    def script(method: str, path: str, headers: dict[str, str], body: object) -> Answer:
        seen.append(set(headers))
        return as_json(200, {"message": "pong"})

    with ScriptedServer(script) as server:
        assert 0 == program("ping", RUNA_ENV="local", RUNA_BASE_URL=server.url).code
    (headers,) = seen
    assert "X-Api-Key" in headers
    assert "Authorization" not in headers


def test_everything_on_disk_is_for_its_owner_alone_whatever_the_umask(program: Program) -> None:
    runa = " ".join(program.command())
    commands = f"{runa} {' '.join(GIFT)} --env local --results links.csv && {runa} product list --env local"
    assert 0 == program.execute(["bash", "-c", f"umask 000; {commands}"]).code
    data, cache = program.home / ".local/share/runa", program.home / ".cache/runa"
    assert {0o700} == {directory.stat().st_mode & 0o777 for directory in (data, cache)}
    files = [*data.iterdir(), *cache.iterdir(), program.home / "links.csv"]
    assert {"ledger.db", "ledger.db-claims", "emulator.db", "links.csv"} < {path.name for path in files}
    assert {0o600} == {path.stat().st_mode & 0o777 for path in files}


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (("order", "create", "--face-value", "10", "--quantity", "2", "--product", "AMZ-US"), "0100007F"),
        (("emulator", "serve", "--port", "0"), "0100007F"),
        (("emulator", "serve", "--port", "0", "--host", "0.0.0.0"), "00000000"),
    ],
)
def test_the_emulator_listens_on_loopback_unless_another_address_is_asked_for(
    program: Program, arguments: tuple[str, ...], address: str
) -> None:
    running = program.start(*arguments, "--env", "local")
    try:
        wait_for(lambda: bool(listening(running.pid)), running)
        assert {address} == listening(running.pid)
    finally:
        running.terminate()
        running.communicate(timeout=LONGEST)


def listening(process: int) -> set[str]:
    """Return the addresses at which a process listens, as the kernel writes them."""
    inodes = set()
    for handle in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # it was closed meanwhile
            inodes.add(str(handle.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1].partition(":")[0])
    return found


def test_a_results_file_replaces_a_link_and_not_what_it_points_to(program: Program) -> None:
    target = program.home / "precious"
    target.write_text("untouched")
    (program.home / "links.csv").symlink_to(target)
    assert 0 == program(*GIFT, "--env", "local", "--results", "links.csv").code
    assert "untouched" == target.read_text()
    assert not Path(program.home / "links.csv").is_symlink()
