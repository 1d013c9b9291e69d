"""A payout link of the emulator opens as a page that shows the gift and says that it is none."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from runa_cli.emulator import catalogue, gifts, store
from runa_cli.emulator.server import DEFAULT_PORT, Emulator
from runa_cli.emulator.store import Store
from tests.emulator.calls import Client, Reply, item, order
from tests.support.program import GIFT, Program
from tests.support.qr_codes import codes_in

UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
UNKNOWN = "/gift/00000000-0000-4000-8000-000000000000"
HOSTILE = "<script>alert('x')</script>\"&"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator.db") as serving:
        yield serving


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    with Client(emulator) as connected:
        yield connected


@contextmanager
def emulating(path: Path, *faults: str, **options: Any) -> Iterator[tuple[Emulator, Client]]:
    with Emulator(path / "emulator.db", faults=faults, **options) as emulator, Client(emulator) as client:
        yield emulator, client


def opened(emulator: Emulator, target: str, method: str = "GET") -> Reply:
    """Return what a browser gets, which knows no key, for a path of this emulator or a link."""
    parts = urlsplit(target)
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=5)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""))
        with connection.getresponse() as response:
            return Reply(response.status, response.read(), dict(response.getheaders()))
    finally:
        connection.close()


def page(emulator: Emulator, target: str) -> str:
    """Return the HTML at a path or link."""
    return opened(emulator, target).body.decode()


def link(made: Reply) -> str:
    """Return the payout link of the first item."""
    url: str = made.json["items"][0]["payout"]["url"]
    return url


def listed(emulator: Emulator) -> list[str]:
    """Return the paths that the root leads to."""
    return re.findall(f'href="(/gift/{UUID4})"', page(emulator, "/"))


def mailed(address: str = "ann@example.test", **selection: object) -> dict[str, Any]:
    products = selection or {"type": "MULTIPLE", "values": ["AMC-US", "1800FL-US"]}
    return {**item(20), "distribution_method": {"type": "EMAIL", "email_address": address}, "products": products}


def test_links_lead_to_the_emulator_that_made_them(emulator: Emulator, client: Client) -> None:
    made = client.post(order()).json
    [shown] = made["items"]
    assert re.fullmatch(re.escape(emulator.url.removesuffix("/v2")) + f"/gift/{UUID4}", shown["payout"]["url"])
    assert shown["payout"]["url"] == shown["redemption_url"]


def test_links_lead_where_they_are_told_to(tmp_path: Path) -> None:
    with emulating(tmp_path, links="http://127.0.0.1:9") as (_, client):
        assert link(client.post(order())).startswith("http://127.0.0.1:9/gift/")


def test_a_link_stays_the_same_when_the_address_changes(tmp_path: Path) -> None:
    with emulating(tmp_path) as (_, client):
        made = client.post(order())
    with emulating(tmp_path, links="http://127.0.0.1:9") as (emulator, client):
        assert made.body == client.post(order()).body
        assert made.json == client.call("GET", f"/order/{made.json['id']}").json
        assert 200 == opened(emulator, link(made)).status


def test_the_page_shows_the_gift_and_says_that_it_is_none(emulator: Emulator, client: Client) -> None:
    made = client.post(order(mailed()))
    shown = page(emulator, link(made))
    created = made.json["created_at"].replace("T", " ")[:19] + " UTC"
    for expected in (
        "This is the emulator&rsquo;s page.", "The gift is not real", "20.00", "USD", "AMC® Theatres", "AMC-US",
        "1800Flowers", "1800FL-US", "ann@example.test", made.json["id"], made.json["items"][0]["id"], "ACTIVE", created,
    ):  # fmt: skip
        assert expected in shown


def test_every_item_has_its_own_page(emulator: Emulator, client: Client) -> None:
    client.post(order(item(11), item(12)), mode="async")
    shown = [page(emulator, path) for path in listed(emulator)]
    assert [(True, False), (False, True)] == [("12.00" in text, "11.00" in text) for text in shown]


def test_the_page_shows_its_payout_link_as_a_qr_code(emulator: Emulator, client: Client) -> None:
    first, second = link(client.post(order(item(10)))), link(client.post(order(item(20)), key="key-2"))
    assert [[first], [second]] == [codes_in(page(emulator, target)) for target in (first, second)]


def test_a_gift_that_cannot_be_redeemed_has_no_qr_code(tmp_path: Path) -> None:
    with emulating(tmp_path, "failed") as (emulator, client):
        assert [] == codes_in(page(emulator, link(client.post(order()))))


def test_a_gift_without_an_address_shows_none(emulator: Emulator, client: Client) -> None:
    assert "Recipient" not in page(emulator, link(client.post(order())))


def test_a_template_shows_all_its_products(emulator: Emulator, client: Client) -> None:
    [template] = [name for name, choice in catalogue.templates().items() if choice[0].currency == "USD"]
    shown = unescape(page(emulator, link(client.post(order(mailed(type="TEMPLATE", template_id=template))))))
    assert [] == [product.name for product in catalogue.templates()[template] if product.name not in shown]


def test_a_product_that_left_the_catalogue_is_shown_by_its_code(
    emulator: Emulator, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.post(order())
    monkeypatch.setattr(catalogue, "orderable", dict)
    assert "<li>1800FL-US <code>1800FL-US</code></li>" in page(emulator, link(made))


@pytest.mark.parametrize("target", ["/", "", UNKNOWN])
def test_a_page_is_html_that_loads_nothing_and_tells_nobody(emulator: Emulator, client: Client, target: str) -> None:
    reply = opened(emulator, target or link(client.post(order(mailed()))))
    expected = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    assert expected == {name: value for name, value in reply.headers.items() if name in expected}
    assert [] == re.findall(r"<script|<link|<img|<iframe|@import|url\(|https?:|\son\w+=", reply.body.decode())


def test_head_tells_the_length_of_the_page(emulator: Emulator, client: Client) -> None:
    for target in (link(client.post(order())), "/", UNKNOWN):
        shown, head = opened(emulator, target), opened(emulator, target, "HEAD")
        assert (shown.status, str(len(shown.body)), b"") == (head.status, head.headers["Content-Length"], head.body)


def test_hostile_product_names_are_escaped(emulator: Emulator, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = client.post(order())
    sold = {code: replace(product, name=HOSTILE) for code, product in catalogue.orderable().items()}
    monkeypatch.setattr(catalogue, "orderable", lambda: sold)
    for target in (link(made), "/"):
        assert "<script" not in page(emulator, target)
        assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&amp;" in page(emulator, target)


def test_hostile_addresses_are_escaped(emulator: Emulator, client: Client) -> None:
    made = client.post(order(mailed("\"'&amp@x.test")))
    assert 200 == made.status
    for target in (link(made), "/"):
        assert "&quot;&#x27;&amp;amp@x.test" in page(emulator, target)


def test_every_value_of_the_account_is_escaped(emulator: Emulator, client: Client, tmp_path: Path) -> None:
    """Whatever is in the file, for other programs may have written it."""
    made = client.post(order(mailed()))
    changed = made.json
    changed["id"] = HOSTILE
    changed["items"][0] |= {"id": HOSTILE, "face_value": HOSTILE, "currency": HOSTILE}
    changed["items"][0]["distribution_method"]["email_address"] = HOSTILE
    changed["items"][0]["products"] = {"type": "SINGLE", "value": HOSTILE}
    changed["items"][0]["payout"]["status"] = HOSTILE
    other = Store(tmp_path / "emulator.db")
    other._run("UPDATE orders SET full = ?", json.dumps(changed).encode())
    other.close()
    for target in (link(made), "/"):
        assert "<script" not in page(emulator, target)
        assert "&lt;script&gt;" in page(emulator, target)


def test_a_gift_in_the_works_says_so_until_it_is_ready(tmp_path: Path) -> None:
    with emulating(tmp_path, processing_seconds=3600) as (emulator, client):
        client.post(order(), mode="async")
        [path] = listed(emulator)
        assert "The order is still being processed." in page(emulator, path)
        assert "ACTIVE" not in page(emulator, path)
        client.post(order(), key="key-2")
        assert "still being processed" not in page(emulator, listed(emulator)[0])


def test_a_failed_order_is_not_given_away_while_it_is_in_the_works(tmp_path: Path) -> None:
    with emulating(tmp_path, "failed", processing_seconds=3600) as (emulator, client):
        client.post(order(), mode="async")
        assert "cancelled" not in re.sub("<style>.*</style>", "", page(emulator, listed(emulator)[0]), flags=re.DOTALL)


def test_a_cancelled_gift_says_so(tmp_path: Path) -> None:
    with emulating(tmp_path, "failed") as (emulator, client):
        shown = page(emulator, link(client.post(order())))
        assert "The order failed, so this gift was cancelled." in shown
        assert "CANCELLED" in shown


@pytest.mark.parametrize("target", [UNKNOWN, "/gift/", "/gift/%3Cb%3E", "/gift/%00", "/gift/%ff"])
def test_an_unknown_gift_is_a_page_that_says_so(emulator: Emulator, target: str) -> None:
    reply = opened(emulator, target)
    assert 404 == reply.status
    assert "No such gift" in reply.body.decode()
    assert "<b>" not in reply.body.decode()


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/gift"), ("GET", "/gift/a/b"), ("GET", "/gifts"), ("POST", UNKNOWN), ("POST", "/")]
)
def test_everything_else_still_asks_for_a_key(emulator: Emulator, method: str, target: str) -> None:
    assert (401, "unauthorized") == ((reply := opened(emulator, target, method)).status, reply.json["type"])


def test_a_program_gets_an_obviously_fake_code(emulator: Emulator, client: Client) -> None:
    url = link(client.post(order()))
    reply = opened(emulator, f"{url}?format=json")
    assert (200, "application/json", "SUCCESS") == (reply.status, reply.headers["Content-Type"], reply.json["status"])
    code = reply.json["e_code"]
    assert ("code", "10.00", "SUCCESS", url) == (code["type"], code["amount"], code["status"], code["url"])
    assert re.fullmatch("EMULATOR-[0-9A-F]{8}", code["code"])
    assert reply.body == opened(emulator, f"{url}?format=json").body


def test_a_program_gets_the_order_and_every_field_of_an_error_as_null(emulator: Emulator, client: Client) -> None:
    made = client.post(order())
    reply = opened(emulator, f"{link(made)}?format=json").json
    assert made.json["id"] == reply["order_id"]
    assert [None] * 3 == [reply[name] for name in ("error_code", "error_string", "error_details")]
    assert [None] * 2 == [reply["e_code"][name] for name in ("error_code", "error_string")]


@pytest.mark.parametrize(
    ("product", "value", "expected"),
    [
        ("BAW-GB", 5, ("code", False, None)),
        ("FIVEG-US", 5, ("code", True, None)),
        ("CDISC-FR", 20, ("code", False, "code-128")),
        ("AUCHAN-FR", 10, ("code", True, "code-128")),
        ("ABO-GB", 5, ("code", True, "QR")),
        ("LUSH-CA", 10, ("url", False, None)),
    ],
)
def test_the_sample_products_give_what_the_documentation_says(
    emulator: Emulator, client: Client, product: str, value: int, expected: tuple[object, ...]
) -> None:
    currency = catalogue.products()[product].currency
    url = link(client.post(order(item(value, product), currency=currency)))
    code = opened(emulator, f"{url}?format=json").json["e_code"]
    assert expected == (code["type"], code["pin"] is not None, code["barcode_format"])
    assert (code["barcode_format"] is None) == (code["barcode_string"] is None)
    assert (code["type"] == "url") == (code["code"] == url)


def test_a_code_expires_as_its_product_says(emulator: Emulator, client: Client) -> None:
    found = {}
    for code, product in catalogue.products().items():
        if product.currency == "USD" and product.payout_type == "gift_card":
            url = link(client.post(order(item(25, code)), key=code))
            months = client.call("GET", f"/product/{code}").json["gift_card"]["expiry"]["in_months"]
            expiry = opened(emulator, f"{url}?format=json").json["e_code"]["expiry_date"]
            found[months] = int(expiry[:4]) - datetime.now(UTC).year
    assert {0: 3000 - datetime.now(UTC).year, 12: 1, 24: 2, 36: 3} == {
        months: years for months, years in found.items() if months != 18
    }


@pytest.mark.parametrize(("fault", "seconds", "code"), [("failed", 0.0, "RE005"), ("slow:0", 3600.0, "RE999")])
def test_a_program_gets_an_error_with_status_200_for_what_cannot_be_redeemed(
    tmp_path: Path, fault: str, seconds: float, code: str
) -> None:
    with emulating(tmp_path, fault, processing_seconds=seconds) as (emulator, client):
        client.post(order(), mode="async")
        reply = opened(emulator, f"{listed(emulator)[0]}?format=json")
        assert (200, "ERROR", code) == (reply.status, reply.json["status"], reply.json["error_code"])
        assert reply.json["order_id"] == client.orders()[0]["id"]
        assert reply.json["error_string"]
        assert reply.json["error_details"]
        assert "e_code" not in reply.json


def test_a_program_gets_re001_for_a_link_that_there_is_not(emulator: Emulator) -> None:
    reply = opened(emulator, f"{UNKNOWN}?format=json")
    assert (200, "ERROR", "RE001", None) == (
        reply.status, reply.json["status"], reply.json["error_code"], reply.json["order_id"]
    )  # fmt: skip


def test_the_root_says_what_this_is_and_how_to_make_a_gift(emulator: Emulator) -> None:
    shown = page(emulator, "/")
    assert "A local stand-in for the Runa Payouts API." in shown
    assert "runa order create --env local" in shown


def test_the_root_leads_to_the_newest_gifts_first(emulator: Emulator, client: Client) -> None:
    client.post(order(*(item(value) for value in range(10, 35))), mode="async")
    client.post(order(item(99)), key="key-2")
    values = [re.findall(r"\d+\.00", page(emulator, path))[0] for path in listed(emulator)]
    assert gifts.NEWEST == len(values)
    assert ["99.00", *(f"{value}.00" for value in range(34, 15, -1))] == values


def test_the_root_counts_what_all_orders_have_cost(emulator: Emulator, client: Client) -> None:
    assert "All orders so far" not in page(emulator, "/")
    client.post(order(item(20)))
    client.post(order(item(100)), key="key-2")
    assert "All orders so far: 120.00 USD" in page(emulator, "/")
    assert {"USD": Decimal("120.00")} == emulator.spent


def test_the_gifts_of_somebody_else_open_but_are_not_listed(tmp_path: Path) -> None:
    with emulating(tmp_path, "foreign-order") as (emulator, client):
        foreign = link(client.post(order(item(10))))
        assert "11.00" in page(emulator, foreign)
        assert [urlsplit(foreign).path] != listed(emulator)
        assert 1 == len(listed(emulator))


def test_an_account_of_an_older_program_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(store, "_MIGRATIONS", store._MIGRATIONS[:1])
        Store(tmp_path / "emulator.db").close()
    with emulating(tmp_path) as (emulator, client):
        assert 200 == opened(emulator, link(client.post(order()))).status


def test_pages_and_requests_share_a_connection(client: Client) -> None:
    url = link(client.post(order()))
    first = client.connection.sock
    client.connection.request("GET", urlsplit(url).path)
    with client.connection.getresponse() as response:
        assert response.read().endswith(b"</html>\n")
    assert {"message": "pong"} == client.call("GET", "/ping").json
    assert first is client.connection.sock


def test_a_link_that_a_command_printed_opens_while_the_emulator_is_served(program: Program) -> None:
    """Both keep the account in the same file, and the command has ended before the other starts."""
    ran = program(*GIFT, "-o", "links", RUNA_ENV="local")
    assert ran.out.startswith(f"http://127.0.0.1:{DEFAULT_PORT}/gift/"), ran.err
    [path] = program.home.rglob("emulator.db")
    with Emulator(path) as emulator:
        assert "fred@example.com" in page(emulator, ran.out.strip())


def test_a_port_that_is_taken_is_one_sentence_that_says_what_to_do(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = program("emulator", "serve", "--port", str(port))
    assert (4, "") == (ran.code, ran.out)
    assert f"Error: The emulator cannot start: port {port} is taken; --port 0 takes a free one.\n" == ran.err


def test_the_help_names_the_port_that_links_lead_to(program: Program) -> None:
    assert str(DEFAULT_PORT) in program("emulator", "serve", "--help").out
