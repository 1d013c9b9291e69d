"""The list of orders, page by page."""

import pytest

from tests.emulator.calls import Caller, kind, order, parsed


@pytest.fixture
def ids(caller: Caller) -> list[str]:
    """Make seven orders and return their ids, newest first."""
    return [parsed(caller.post(order(), key=str(number)))["id"] for number in range(7)][::-1]


def walked(caller: Caller, limit: int) -> list[list[str]]:
    pages, cursor = [], ""
    while True:
        page = caller.get(f"/order?limit={limit}{cursor}")
        pages.append([listed["id"] for listed in page["items"]])
        if not page["items"]:
            return pages
        cursor = f"&after={page['pagination']['cursors']['after']}"


def test_the_newest_order_comes_first(caller: Caller, ids: list[str]) -> None:
    assert ids == [listed["id"] for listed in caller.get("/order")["items"]]


def test_pages_lead_to_an_empty_one(caller: Caller, ids: list[str]) -> None:
    assert [ids[:3], ids[3:6], ids[6:], []] == walked(caller, 3)


def test_a_full_last_page_still_leads_on(caller: Caller, ids: list[str]) -> None:
    assert [ids, []] == walked(caller, 7)


def test_an_empty_page_has_no_cursors(caller: Caller) -> None:
    assert caller.get("/order") == {"items": [], "pagination": {"cursors": {}, "page": {"limit": 100}}}


def test_before_leads_back_to_the_page_before(caller: Caller, ids: list[str]) -> None:
    second = caller.get(f"/order?limit=2&after={caller.get('/order?limit=2')['pagination']['cursors']['after']}")
    third = caller.get(f"/order?limit=2&after={second['pagination']['cursors']['after']}")
    back = caller.get(f"/order?limit=2&before={third['pagination']['cursors']['before']}")
    assert ids[2:4] == [listed["id"] for listed in back["items"]]


def test_orders_made_meanwhile_do_not_shift_pages(caller: Caller, ids: list[str]) -> None:
    cursor = caller.get("/order?limit=3")["pagination"]["cursors"]["after"]
    caller.post(order(), key="meanwhile")
    assert ids[3:6] == [listed["id"] for listed in caller.get(f"/order?limit=3&after={cursor}")["items"]]


def test_a_list_leaves_out_what_only_a_single_order_shows(caller: Caller) -> None:
    made = parsed(caller.post(order(description="wave 2")))
    [listed] = caller.get("/order")["items"]
    assert {"items", "transaction_detail", "metadata"} == made.keys() - listed.keys()
    assert listed["description"] == "wave 2"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=-1", "limit=ten", "limit=", "after=x", "before=!", "after=a&before=b"]
)
def test_a_page_that_makes_no_sense_is_refused(caller: Caller, query: str) -> None:
    assert kind(caller.call("GET", f"/order?{query}")) == (400, "pagination_error")


def test_a_cursor_is_opaque_but_for_this_list(caller: Caller, ids: list[str]) -> None:
    cursor = caller.get("/order?limit=1")["pagination"]["cursors"]["after"]
    assert ids[0] not in cursor
    assert kind(caller.call("GET", f"/product?after={cursor}")) == (400, "pagination_error")
