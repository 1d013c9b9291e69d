"""The account behind real sockets, and the command that serves it."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runa_cli.emulator import bodies
from runa_cli.emulator.server import Emulator
from tests.emulator.calls import KEY, Client, Reply, encoded, item, order
from tests.support.system_faults import wait_until_main_thread_is_in


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator.db") as serving:
        yield serving


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with Client(emulator) as connected:
        yield connected


def raw(emulator: Emulator, data: bytes) -> bytes:
    """Send bytes and return everything until the server closes."""
    host, port = emulator.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_url_is_loopback_with_the_base_path(emulator: Emulator) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v2", emulator.url)


def test_an_emulator_that_is_not_started_has_no_url(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _ = Emulator(tmp_path / "emulator.db").url


def test_one_connection_serves_many_requests(client: Client) -> None:
    """Refused requests with bodies, too, leave the connection where the next request begins."""
    client.call("GET", "/ping")
    first = client.connection.sock
    for body in (order(), b"{", b"x" * 100_000):
        client.call("POST", "/order", body)
        client.call("POST", "/nothing", body)
        client.call("POST", "/order", body, X_Api_Key="")
    assert client.call("GET", "/ping").json == {"message": "pong"}
    assert first is client.connection.sock


def test_requests_are_remembered_in_order(emulator: Emulator, client: Client) -> None:
    client.post(order(), key="key-1")
    client.call("GET", "/order?limit=5")
    assert emulator.requests == [("POST", "/v2/order", "key-1"), ("GET", "/v2/order?limit=5", None)]


def test_answers_are_dated_and_json(client: Client) -> None:
    reply = client.call("GET", "/ping")
    assert reply.headers["Content-Type"] == "application/json"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", reply.headers["Date"])


def test_paths_without_the_base_are_not_found(emulator: Emulator, client: Client) -> None:
    client.connection.request("GET", "/ping", headers={"X-Api-Key": KEY})
    with client.connection.getresponse() as response:
        assert response.status == 404
        assert json.loads(response.read())["type"] == "not_found"
    assert emulator.requests == [("GET", "/ping", None)]


def test_other_methods_are_not_found(client: Client) -> None:
    assert [client.call(method, "/order").status for method in ("PUT", "DELETE", "PATCH", "OPTIONS")] == [404] * 4


def test_head_has_no_body(client: Client) -> None:
    assert (client.call("HEAD", "/ping").status, client.call("HEAD", "/ping").body) == (404, b"")
    assert client.call("GET", "/ping").status == 200


def test_a_body_that_is_too_large_is_refused_and_the_connection_kept(client: Client) -> None:
    reply = client.call("POST", "/order", b" " * (bodies.MOST_BODY_BYTES + 1), X_Idempotency_Key="k")
    assert (reply.status, reply.json["type"]) == (413, "bad_request")
    assert client.call("GET", "/ping").status == 200


def test_a_method_that_nobody_knows_is_answered_in_json_after_the_key_check(client: Client) -> None:
    reply = client.call("BREW", "/order")
    assert (404, "not_found") == (reply.status, reply.json["type"])
    reply = client.call("BREW", "/order", X_Api_Key="")
    assert (401, "unauthorized") == (reply.status, reply.json["type"])
    assert client.call("GET", "/ping").status == 200


def chunked(*lines: str) -> bytes:
    """Return a POST /order whose body is these lines."""
    head = ("POST /v2/order HTTP/1.1", "Host: x", f"X-Api-Key: {KEY}", "X-Idempotency-Key: k", "X-Execution-Mode: sync")
    return "\r\n".join((*head, "Transfer-Encoding: chunked", "", *lines)).encode()


def test_a_body_in_chunks_is_read(emulator: Emulator) -> None:
    """Chunks may have extensions, and trailers may follow; the next request begins after them."""
    text = encoded(order(item(12))).decode()
    chunks = (f"{7:x}", text[:7], f"{len(text) - 7:X} ;note=x", text[7:], "0", "X-Trailer: y", "", "")
    last = f"GET /v2/ping HTTP/1.1\r\nX-Api-Key: {KEY}\r\nConnection: close\r\n\r\n"
    answers = raw(emulator, chunked(*chunks) + last.encode())
    assert b'"face_value":"12.00"' in answers
    assert answers.endswith(b'{"message":"pong"}')


def test_an_order_in_chunks_has_the_same_bytes_as_one_with_a_length(emulator: Emulator, client: Client) -> None:
    """So the same key may be sent either way."""
    made = client.post(order(), key="k")
    text = encoded(order()).decode()
    raw_answer = raw(emulator, chunked(f"{len(text):x}", text, "0", "", "").replace(b"Host: x", b"Connection: close"))
    assert raw_answer.endswith(made.body)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("nonsense", ""), 400),
        (("-1", ""), 400),
        (("5", "{}{}{}{}", "0", "", ""), 400),
        (("f" * 5000, ""), 400),
        (("0", *["X-Trailer: y"] * 101, "", ""), 400),
    ],
    ids=["no size", "a negative size", "longer than it says", "a long line", "many trailers"],
)
def test_chunks_that_cannot_be_read_are_refused(emulator: Emulator, lines: tuple[str, ...], status: int) -> None:
    assert raw(emulator, chunked(*lines)).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Transfer-Encoding: gzip", 501),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Content-Length: many", 411),
        (f"Content-Length: {'9' * 5000}", 413),
    ],
    ids=["another coding", "two lengths", "no number", "thousands of digits"],
)
def test_a_body_without_a_clear_end_is_refused(emulator: Emulator, header: str, status: int) -> None:
    head = f"POST /v2/order HTTP/1.1\r\nHost: x\r\nX-Api-Key: xxa.b\r\n{header}\r\n\r\n0\r\n\r\n"
    assert raw(emulator, head.encode()).startswith(f"HTTP/1.1 {status} ".encode())


def test_chunks_that_are_too_large_together_are_refused_and_the_connection_kept(emulator: Emulator) -> None:
    part = "x" * 1_000_000
    chunks = [line for _ in range(9) for line in (f"{len(part):x}", part)]
    last = f"GET /v2/ping HTTP/1.1\r\nX-Api-Key: {KEY}\r\nConnection: close\r\n\r\n"
    answers = raw(emulator, chunked(*chunks, "0", "", "") + last.encode())
    assert answers.startswith(b"HTTP/1.1 413 ")
    assert answers.endswith(b'{"message":"pong"}')


@pytest.mark.parametrize("header", ["Content-Length: 500\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{"])
def test_a_client_that_gives_up_in_its_body_orders_nothing(emulator: Emulator, client: Client, header: str) -> None:
    host, port = emulator.url.split("/")[2].split(":")
    head = f"POST /v2/order HTTP/1.1\r\nX-Api-Key: {KEY}\r\nX-Idempotency-Key: k\r\n{header}"
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert client.orders() == []


def test_an_async_order_completes_after_the_processing_time(tmp_path: Path) -> None:
    with Emulator(tmp_path / "emulator.db", processing_seconds=0) as emulator, Client(emulator) as client:
        order_id = client.post(order(), mode="async").json["id"]
        assert client.call("GET", f"/order/{order_id}").json["status"] == "COMPLETED"


def test_a_restarted_emulator_repeats_its_answers(tmp_path: Path) -> None:
    replies: list[Reply] = []
    for _ in range(2):
        with Emulator(tmp_path / "emulator.db") as emulator, Client(emulator) as client:
            replies.append(client.post(order()))
    assert replies[0].body == replies[1].body


def test_a_port_can_be_taken_again_at_once(tmp_path: Path) -> None:
    with Emulator(tmp_path / "emulator.db") as first, Client(first) as client:
        client.call("GET", "/ping")
        port = int(first.url.split(":")[2].removesuffix("/v2"))
    with Emulator(tmp_path / "emulator.db", port=port) as second, Client(second) as client:
        assert client.call("GET", "/ping").status == 200


def test_closing_ends_open_connections(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator.db")
    emulator.start()
    with Client(emulator) as client:
        client.call("GET", "/ping")
        emulator.close()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            client.call("GET", "/ping")
    emulator.close()


def test_a_taken_port_is_an_error(emulator: Emulator, tmp_path: Path) -> None:
    port = int(emulator.url.split(":")[2].removesuffix("/v2"))
    with pytest.raises(OSError, match="in use"):
        Emulator(tmp_path / "other.db", port=port).start()


def test_many_connections_order_at_once(emulator: Emulator) -> None:
    """Ten connections send five orders of 200 items each: all are made, each once."""

    def send(worker: int) -> None:
        with Client(emulator, timeout=30) as client:
            for number in range(5):
                assert client.post(body, key=f"{worker}-{number}", mode="async").status == 202

    body = order(*[item()] * 200)
    workers = [threading.Thread(target=send, args=(worker,)) for worker in range(10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with Client(emulator) as client:
        assert len(client.orders()) == 50
        assert client.call("GET", "/balance?currency=USD").json["balance"] == "900000.00"


def test_two_emulators_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    with Emulator(path) as one, Emulator(path) as other, Client(one) as first, Client(other) as second:
        assert first.post(order()).body == second.post(order()).body
        assert len(second.orders()) == 1


def serving(path: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "runa_cli.emulator", "--db", str(path), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_its_url_and_ends_quietly(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "emulator.db") as process:
        assert process.stdout is not None
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v2\n", process.stdout.readline())
        process.send_signal(number)
        assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0


def test_a_signal_that_the_system_hands_to_another_thread_ends_it_at_once(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator.db")
    ended = threading.Event()
    in_time = []

    def end() -> None:
        wait_until_main_thread_is_in("serve_forever")
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        in_time.append(ended.wait(10))
        emulator.shutdown()

    before = signal.signal(signal.SIGTERM, lambda *_: emulator.shutdown())
    try:
        emulator.start()
        ending = threading.Thread(target=end)
        ending.start()
        emulator.serve_forever()
        ended.set()
    finally:
        signal.signal(signal.SIGTERM, before)
        ending.join()
        emulator.close()
    assert [True] == in_time


def test_the_command_names_a_fault_that_was_never_met(tmp_path: Path) -> None:
    with serving(tmp_path / "emulator.db", "--fault", "429@3") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "429@3" in errors


def test_the_command_names_the_faults_there_are(tmp_path: Path) -> None:
    with serving(tmp_path / "emulator.db", "--fault", "earthquake") as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "lost-after" in errors


def test_the_command_says_why_it_cannot_start(tmp_path: Path) -> None:
    with serving(tmp_path / "nowhere" / "emulator.db") as process:
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output) == (4, "")
    assert re.fullmatch("The emulator cannot start: .*nowhere.*\n", errors)
