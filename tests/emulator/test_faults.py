"""Each scripted fault does what it says to the order, to its key and to the wire."""

import contextlib
import http.client
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from runa_cli.commands import emulator as emulator_command
from runa_cli.emulator.faults import ORDER_FAULTS, READ_FAULTS, Faults
from runa_cli.emulator.server import Emulator
from tests.emulator.calls import KEY, Client, encoded, item, order

Faulty = Callable[..., AbstractContextManager[tuple[Emulator, Client]]]


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    """Return a maker of emulators with faults; a fault that is never met fails the test."""

    @contextlib.contextmanager
    def serving(*faults: str) -> Iterator[tuple[Emulator, Client]]:
        with (
            Emulator(tmp_path / "emulator.db", faults=faults, processing_seconds=0) as emulator,
            Client(emulator) as client,
        ):
            yield emulator, client
            assert emulator.unhit_faults == []

    return serving


def raw_post(emulator: Emulator, key: str = "key-1") -> socket.socket:
    """Send a sync order and leave the reply unread."""
    host, port = emulator.url.split("/")[2].split(":")
    body = encoded(order())
    head = (
        f"POST /v2/order HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\nX-Idempotency-Key: {key}\r\n"
        f"X-Execution-Mode: sync\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection((host, int(port)), timeout=5)
    connection.sendall(head.encode() + body)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(("fault", "made"), [("lost-before", 0), ("lost-after", 1)])
def test_a_lost_answer_is_a_closed_connection(faulty: Faulty, fault: str, made: int) -> None:
    with faulty(fault) as (_, client):
        with pytest.raises(http.client.RemoteDisconnected):
            client.post(order())
        assert made == len(client.orders())
        assert client.post(order()).status == 200
        assert len(client.orders()) == 1


def test_an_answer_can_be_shorter_than_announced(faulty: Faulty) -> None:
    with faulty("cut-length") as (_, client):
        with pytest.raises(http.client.IncompleteRead):
            client.post(order())
        client.connection.close()
        assert len(client.orders()) == 1
        assert client.post(order()).status == 200


def test_an_answer_can_end_with_its_connection_in_the_middle(faulty: Faulty) -> None:
    with faulty("cut-close") as (_, client):
        reply = client.post(order())
        assert "Content-Length" not in reply.headers
        with pytest.raises(json.JSONDecodeError):
            _ = reply.json
        assert client.orders()[0]["id"] == client.post(order()).json["id"]


def test_an_answer_can_be_no_json(faulty: Faulty) -> None:
    with faulty("unreadable") as (_, client):
        reply = client.post(order())
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html")
        assert client.orders()[0]["id"] == client.post(order()).json["id"]


def test_102_is_followed_by_silence_until_the_client_closes(faulty: Faulty) -> None:
    with faulty("102") as (emulator, client):
        with raw_post(emulator) as connection:
            assert connection.recv(100) == b"HTTP/1.1 102 Processing\r\n\r\n"
            connection.settimeout(0.1)
            with pytest.raises(TimeoutError):
                connection.recv(100)
        assert client.orders() == []
        assert client.post(order()).status == 200


def test_102_can_be_followed_by_the_answer(faulty: Faulty) -> None:
    with faulty("102-then-200") as (emulator, client), raw_post(emulator) as connection:
        received = b""
        while not received.endswith(b'"metadata":null}'):
            received += connection.recv(65536)
        interim, _, rest = received.partition(b"\r\n\r\n")
        assert interim == b"HTTP/1.1 102 Processing"
        assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
        assert client.orders()[0]["id"] == json.loads(rest.partition(b"\r\n\r\n")[2])["id"]


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ("in-progress", 400, b'"idempotency_in_progress"'),
        ("429", 429, b'{"error":"rate exceeded"}'),
        ("429-retry-after", 429, b'{"error":"rate exceeded"}'),
        ("transient-5xx", 500, b'"internal_server_error"'),
        ("503-html", 503, b"<html>"),
    ],
)
def test_a_passing_refusal_makes_nothing_and_does_not_burn_the_key(
    faulty: Faulty, fault: str, status: int, body: bytes
) -> None:
    with faulty(fault) as (_, client):
        reply = client.post(order())
        assert status == reply.status
        assert body in reply.body
        assert client.orders() == []
        assert client.post(order()).status == 200


@pytest.mark.parametrize(("fault", "header"), [("429", None), ("429-retry-after", "1")])
def test_only_one_429_says_when_to_retry(faulty: Faulty, fault: str, header: str | None) -> None:
    with faulty(fault) as (_, client):
        assert header == client.post(order()).headers.get("Retry-After")


def test_a_proxy_refuses_an_order_that_is_made(faulty: Faulty) -> None:
    with faulty("proxy-403") as (_, client):
        reply = client.post(order())
        assert (403, "application/problem+json") == (reply.status, reply.headers["Content-Type"])
        assert 1 == len(client.orders())
        assert 200 == client.post(order()).status


@pytest.mark.parametrize(("fault", "made"), [("stored-5xx", 0), ("stored-5xx-made", 1)])
def test_a_kept_500_is_repeated_for_its_key(faulty: Faulty, fault: str, made: int) -> None:
    with faulty(fault) as (_, client):
        assert [client.post(order()).status for _ in range(2)] == [500, 500]
        assert made == len(client.orders())
        assert client.post(order(), key="key-2").status == 200


def test_a_slow_answer_comes_when_the_client_may_be_gone(faulty: Faulty) -> None:
    with faulty("slow:0.4") as (emulator, client), Client(emulator, timeout=0.1) as hasty:
        with pytest.raises(TimeoutError):
            hasty.post(order())
        assert len(client.orders()) == 1
        assert client.post(order()).json["type"] == "idempotency_in_progress"


def test_a_slow_answer_comes_whole(faulty: Faulty) -> None:
    with faulty("slow:0.1") as (_, client):
        started = time.monotonic()
        assert client.post(order()).status == 200
        assert time.monotonic() - started >= 0.1


def test_an_answer_can_come_byte_by_byte(faulty: Faulty) -> None:
    with faulty("dribble:0.0001") as (emulator, client), raw_post(emulator) as connection:
        received = b""
        pieces = 0
        while not received.endswith(b'"metadata":null}'):
            received += connection.recv(65536)
            pieces += 1
        assert pieces > 1
        assert client.orders()[0]["id"] == json.loads(received.partition(b"\r\n\r\n")[2])["id"]


def test_the_answer_can_be_another_order(faulty: Faulty) -> None:
    with faulty("foreign-order") as (_, client):
        wrong = client.post(order(metadata={"mine": "yes"})).json
        [right] = client.orders()
        assert right["id"] != wrong["id"]
        assert wrong["metadata"] == {"order": "somebody else's"}
        assert wrong["items"][0]["face_value"] == "11.00"
        assert wrong == client.call("GET", f"/order/{wrong['id']}").json
        mine = client.call("GET", f"/order/{right['id']}").json
        assert (mine["metadata"], mine["items"][0]["face_value"]) == ({"mine": "yes"}, "10.00")


def test_an_async_answer_can_name_another_order(faulty: Faulty) -> None:
    with faulty("foreign-order") as (_, client):
        order_id = client.post(order(), mode="async").json["id"]
        delivery = client.call("GET", f"/order/{order_id}").json["items"][0]["distribution_method"]
        assert delivery == {"type": "EMAIL", "email_address": "somebody.else@example.invalid"}


def test_items_can_come_in_another_order(faulty: Faulty) -> None:
    with faulty("shuffled") as (_, client):
        order_id = client.post(order(item(10), item(20), item(30)), mode="async").json["id"]
        for _ in range(2):
            items = client.call("GET", f"/order/{order_id}").json["items"]
            assert [made["face_value"] for made in items] == ["30.00", "20.00", "10.00"]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_order_can_fail_with_its_full_body(faulty: Faulty, mode: str) -> None:
    with faulty("failed") as (_, client):
        order_id = client.post(order(), mode=mode).json["id"]
        failed = client.call("GET", f"/order/{order_id}").json
        assert (failed["status"], len(failed["items"])) == ("FAILED", 1)


def test_a_failed_sync_order_is_answered_with_200(faulty: Faulty) -> None:
    with faulty("failed") as (_, client):
        reply = client.post(order())
        assert (reply.status, reply.json["status"]) == (200, "FAILED")


def test_an_order_can_fail_without_a_body(faulty: Faulty) -> None:
    with faulty("failed-bare") as (_, client):
        order_id = client.post(order(), mode="async").json["id"]
        bare = {"id": order_id, "status": "FAILED"}
        assert bare == client.call("GET", f"/order/{order_id}").json
        assert [bare] == client.orders()


def test_an_order_can_be_shown_as_failed_first_and_as_completed_later(faulty: Faulty) -> None:
    with faulty("failed-at-first") as (_, client):
        failed = client.post(order()).json
        assert "FAILED" == failed["status"]
        later = client.call("GET", f"/order/{failed['id']}").json
        assert ("COMPLETED", failed["id"]) == (later["status"], client.orders()[0]["id"])


def test_a_completed_order_can_be_shown_as_failed_once(faulty: Faulty) -> None:
    with faulty("get-failed") as (_, client):
        target = f"/order/{client.post(order(), mode='async').json['id']}"
        assert ["FAILED", "COMPLETED"] == [client.call("GET", target).json["status"] for _ in range(2)]


def test_an_order_can_be_echoed_in_another_spelling(faulty: Faulty) -> None:
    method = {"type": "EMAIL", "email_address": "Mu\u0308ller@B\u00fccher.example"}
    products = {"type": "MULTIPLE", "values": ["AMZ-US", "1800FL-US", "AMC-US"]}
    with faulty("respelled") as (_, client):
        wanted = {**item(7), "distribution_method": method, "products": products}
        (made,) = client.post(order(wanted)).json["items"]
        assert "m\u00fcller@xn--bcher-kva.example" == made["distribution_method"]["email_address"]
        assert ["AMZ-US", "AMC-US"] == made["products"]["values"]
        assert 7.0 == made["face_value"]
        assert isinstance(made["price"], float)


def test_the_last_item_can_be_for_somebody_who_is_not_in_the_request(faulty: Faulty) -> None:
    with faulty("unmatched") as (_, client):
        order_id = client.post(order(item(10), item(20)), mode="async").json["id"]
        made = client.call("GET", f"/order/{order_id}").json
        assert ["10.00", "20.00"] == [one["face_value"] for one in made["items"]]
        addresses = [one["distribution_method"].get("email_address") for one in made["items"]]
        assert "somebody.else@example.com" == addresses[1] != addresses[0]


def test_a_redirect_leads_to_another_name_of_this_host(faulty: Faulty) -> None:
    with faulty("redirect") as (_, client):
        reply = client.post(order())
        assert reply.status == 307
        assert reply.headers["Location"].startswith("http://localhost:")
        assert client.orders() == []


def test_the_clock_can_be_ahead_from_some_order_on(faulty: Faulty) -> None:
    with faulty("clock+31@2") as (_, client):
        first = client.post(order())
        assert days_ahead(first.headers["Date"]) == 0
        second = client.post(order())
        assert days_ahead(second.headers["Date"]) == 31
        assert days_ahead(client.call("GET", "/ping").headers["Date"]) == 31
        assert first.json["id"] != second.json["id"]


def days_ahead(date: str) -> int:
    return round((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds() / 86400)


def test_the_clock_does_not_keep_another_fault_from_the_same_order(faulty: Faulty) -> None:
    with faulty("clock+31", "429") as (_, client):
        reply = client.post(order())
        assert (reply.status, days_ahead(reply.headers["Date"])) == (429, 31)


@pytest.mark.parametrize(("fault", "status"), [("get-500", 500), ("get-429", 429), ("get-404", 404)])
def test_reading_an_order_can_fail(faulty: Faulty, fault: str, status: int) -> None:
    with faulty(f"{fault}@2") as (_, client):
        target = f"/order/{client.post(order()).json['id']}"
        assert [200, status, 200] == [client.call("GET", target).status for _ in range(3)]


def test_reading_an_order_can_get_lost(faulty: Faulty) -> None:
    with faulty("get-lost") as (_, client):
        target = f"/order/{client.post(order()).json['id']}"
        with pytest.raises(http.client.RemoteDisconnected):
            client.call("GET", target)
        assert client.call("GET", target).status == 200


def test_lists_and_estimates_are_not_counted(faulty: Faulty) -> None:
    with faulty("429", "get-500") as (_, client):
        client.call("POST", "/order/estimate", order())
        client.call("GET", "/order")
        assert client.post(order()).status == 429
        order_id = client.post(order()).json["id"]
        assert client.call("GET", f"/order/{order_id}").status == 500


def test_a_fault_can_cover_a_range(faulty: Faulty) -> None:
    with faulty("429@2-3") as (_, client):
        assert [client.post(order(), key=str(number)).status for number in range(4)] == [200, 429, 429, 200]


def test_a_fault_can_last(faulty: Faulty) -> None:
    with faulty("429@*") as (_, client):
        assert [client.post(order()).status for _ in range(4)] == [429] * 4


def test_the_first_of_two_faults_wins() -> None:
    faults = Faults(["429@1", "503-html@*"])
    assert [ORDER_FAULTS["429"], ORDER_FAULTS["503-html"]] == [faults.next_order() for _ in range(2)]


def test_a_fault_that_was_never_met_is_named() -> None:
    faults = Faults(["429@2", "get-lost", "clock+3@2"])
    faults.next_order()
    assert faults.unhit == ["429@2", "get-lost", "clock+3@2"]
    faults.next_order()
    assert faults.unhit == ["get-lost"]


@pytest.mark.parametrize("spec", ["", "earthquake", "429@0", "429@x", "429:3", "slow:x", "clock+", "get-", "429@2-1"])
def test_an_unknown_fault_is_refused_with_the_names_there_are(spec: str) -> None:
    with pytest.raises(ValueError, match=r"lost-before.*get-lost.*clock") as refused:
        Faults([spec])
    assert all(name in str(refused.value) for name in ORDER_FAULTS | READ_FAULTS)


def test_closing_cuts_a_slow_answer_short(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator.db", faults=["slow:60"])
    emulator.start()
    connection = raw_post(emulator)
    while not emulator.requests:
        time.sleep(0.001)
    started = time.monotonic()
    emulator.close()
    assert time.monotonic() - started < 5
    read_all(connection)


def test_the_help_of_serve_names_every_fault() -> None:
    described = emulator_command.serve.__doc__ or ""
    assert set(re.findall(r"[a-z0-9][a-z0-9-]+", described)) >= {*ORDER_FAULTS, *READ_FAULTS}
