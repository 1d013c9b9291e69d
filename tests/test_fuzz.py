"""Files that nobody would write and answers that nobody would give: read or refused, and never a defect.

CI tries a fixed set; `HYPOTHESIS_PROFILE=long` tries many more, and new ones each time.
"""

import io
import json
import os
import unicodedata
from datetime import UTC, datetime
from typing import Any, Literal

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runa_cli.api import binding, catalogue, classify, pagination, responses
from runa_cli.api.canonical import Stamp
from runa_cli.api.classify import Answered, Reply
from runa_cli.core import exact_json
from runa_cli.core.errors import InputError, RunaError
from runa_cli.core.safe_text import printable_lines
from runa_cli.input import reader
from runa_cli.input.plan import Plan
from runa_cli.input.reader import Format
from runa_cli.input.request import OrderInput
from runa_cli.ledger import results
from runa_cli.output import csv_format, order_facts
from runa_cli.output.stdout import Output
from runa_cli.output.tables import order_parts
from tests.support.damaged_inputs import (
    ANSWERED,
    ORDER,
    PAGE,
    PRODUCT,
    REFUSED,
    damaged,
    damaged_workbooks,
    documents,
    sheets,
    texts,
    tidy_sheets,
    values,
)

ASKED: Any = exact_json.loads(json.dumps(ORDER["items"]))  # as the ledger has it
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"

FLAGS = (
    OrderInput(),
    OrderInput(face_value="5", products=("AMZ-US",), currency="USD"),
    OrderInput(emails=("ann@example.com",), description="a", metadata=("a=b",), mode="sync", fx=True),
    OrderInput(product_template="PT-01HPSF51G0ZWHJ3JTNWRH0WDYK", currency="USD", quantity="2", stamp=False),
)
flags = st.sampled_from(FLAGS)
CELL = "x" * (1 << 20)


def tries(often: int) -> settings:
    return settings(
        derandomize=not LONG,
        database=None,
        max_examples=often * 40 if LONG else often,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


# --- files -------------------------------------------------------------------------------------------------------


@tries(200)
@given(raw=st.one_of(tidy_sheets(), tidy_sheets(), sheets()), given_=flags)
@example(raw=b"face_value,email,product\n10," + CELL.encode() + b",AMZ-US\n", given_=FLAGS[0])
@example(raw=b"face_value,email,product\n10,a" + CELL.encode() + b",AMZ-US\n", given_=FLAGS[0])
@example(raw=b"face_value," + CELL.encode() + b"\n10,1\n", given_=FLAGS[1])
@example(raw=b'face_value,email\n"10' + b"\n" * 3000, given_=FLAGS[1])
def test_a_sheet_becomes_a_plan_or_a_named_mistake(raw: bytes, given_: OrderInput) -> None:
    check_file(raw, "csv", given_)


ABOUT_FILES: tuple[dict[str, Any], ...] = (
    {"encoding": "cp1252"},
    {"encoding": "utf-16"},
    {"encoding": "shift_jis"},
    {"header_row": 2},
    {"columns": (("email", "team"), ("face_value", "product")), "carry": ("email", "face_value")},
    {"allow_links": True},
)


@tries(200)
@given(raw=st.one_of(tidy_sheets(), sheets()), given_=flags, about=st.sampled_from(ABOUT_FILES))
def test_what_is_said_of_a_sheet_makes_it_no_less_safe(raw: bytes, given_: OrderInput, about: dict[str, Any]) -> None:
    check_file(raw, "csv", replace(given_, **about))


@tries(100)
@given(raw=damaged_workbooks(), given_=flags)
def test_a_workbook_becomes_a_plan_or_a_named_mistake(raw: bytes, given_: OrderInput) -> None:
    check_file(raw, "xlsx", given_)


@tries(250)
@given(
    raw=st.one_of(documents(ORDER), documents([ORDER, ORDER]), documents(ORDER["items"])),
    kind=st.sampled_from(["json", "jsonl", None]),
    given_=flags,
)
@example(raw=b"[" * 200_000, kind="json", given_=FLAGS[0])
@example(raw=b'{"items":' * 200_000, kind="json", given_=FLAGS[0])
@example(raw=b'[{"items":' * 200_000, kind="jsonl", given_=FLAGS[0])
@example(raw=b'{"face_value":' + b"9" * 300_000 + b"}", kind="json", given_=FLAGS[0])
@example(raw=b'{"face_value":1e' + b"9" * 300_000 + b"}", kind="json", given_=FLAGS[0])
@example(raw=b'{"face_value":1,"products":"' + CELL.encode() + b'"}', kind="json", given_=FLAGS[0])
def test_a_document_becomes_a_plan_or_a_named_mistake(raw: bytes, kind: Format | None, given_: OrderInput) -> None:
    check_file(raw, kind, given_)


@tries(200)
@given(
    lines=st.lists(st.one_of(documents(ORDER), documents(ORDER["items"][0])), max_size=3),
    newline=st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\x00"]),
    given_=flags,
)
def test_lines_of_documents_become_a_plan_or_a_named_mistake(
    lines: list[bytes], newline: bytes, given_: OrderInput
) -> None:
    check_file(newline.join(lines), None, given_)


@tries(200)
@given(
    raw=st.one_of(st.binary(max_size=200), damaged(b'{"face_value":1}'),
                  texts.map(lambda text: text.encode("utf-8", "replace"))),
    kind=st.sampled_from(["csv", "json", "jsonl", None]),
    given_=flags,
)  # fmt: skip
def test_any_bytes_become_a_plan_or_a_named_mistake(raw: bytes, kind: Format | None, given_: OrderInput) -> None:
    check_file(raw, kind, given_)


@tries(200)
@given(
    emails=st.lists(texts, max_size=3),
    product=st.lists(texts, max_size=3),
    words=st.lists(st.one_of(st.none(), texts), min_size=7, max_size=7),
    metadata=st.lists(st.one_of(texts, st.builds("{}={}".format, texts, texts)), max_size=3),
)
@example(emails=[], product=["AMZ-US"], words=["10", "3", None, None, None, None, None], metadata=["a=b"])
def test_any_flags_become_a_plan_or_a_named_mistake(
    emails: list[str], product: list[str], words: list[str | None], metadata: list[str]
) -> None:
    face_value, quantity, template, redemption, recipient, currency, description = words
    try:
        plan = reader.from_flags(
            OrderInput(
                face_value, tuple(emails), quantity, tuple(product), template, redemption, recipient, currency,
                description=description, metadata=tuple(metadata),
            )
        )  # fmt: skip
    except InputError as error:
        check_error(error)
    else:
        check_plan(plan)


def check_file(raw: bytes, kind: Format | None, given_: OrderInput) -> None:
    try:
        plan = reader.from_file(replace(given_, file_format=kind), io.BytesIO(raw))
    except InputError as error:
        check_error(error)
    else:
        check_plan(plan)


def check_plan(plan: Plan) -> None:
    """Make sure that what was read can be sent: one JSON document a body, and nothing lost or counted twice."""
    with plan:
        orders = list(plan.orders())
        bodies: list[Any] = [
            exact_json.loads(order.body(Stamp("key", "bonus", named=True)).decode()) for order in orders
        ]
        assert 0 < plan.item_count == sum(len(body["items"]) for body in bodies)
        assert sum(plan.sums.values()) == sum(item["face_value"] for body in bodies for item in body["items"])
        assert 64 == len(plan.fingerprint())
        assert plan.repeated_addresses() is not None


def check_error(error: RunaError) -> None:
    """Make sure that what is said can be written, and that a terminal only shows it."""
    assert error.message
    is_harmless(printable_lines(f"{error.message}\n{error.hint or ''}"))
    is_harmless(exact_json.dumps(error.as_dict()))


# --- answers -----------------------------------------------------------------------------------------------------

TIMES = ("1", "9" * 30, "-1", "Fri, 32 Foo", "Fri, 02 Jan 9999 12:00:00 +9999", "Mon, 01 Jan 0001 00:00:00 +14")
bodies = st.one_of(
    documents(ANSWERED), documents(ANSWERED), documents(REFUSED), documents({"id": "O-1", "status": "PROCESSING"}),
    documents({"message": "Limit Exceeded"}), st.binary(max_size=50),
    values.map(lambda value: json.dumps(value).encode()),
)  # fmt: skip
statuses = st.one_of(
    st.sampled_from([200, 200, 200, 201, 202, 204, 102, 307, 400, 401, 403, 404, 409, 422, 429, 500, 503]),
    st.integers(100, 999),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Retry-After": st.one_of(st.sampled_from(TIMES), texts),
        "Date": st.one_of(st.sampled_from(["Fri, 02 Jan 2026 12:00:00 GMT"]), texts),
        "X-Request-Id": texts,
    },
)  # fmt: skip


@tries(350)
@given(status=statuses, body=bodies, head=headers)
@example(status=200, body=b"[" * 200_000, head={})
@example(status=500, body=b'{"type":' * 200_000, head={})
@example(status=400, body=b'{"type":"a","details":[{"location":' + b"[" * 60 + b"]" * 60 + b"}]}", head={})
def test_any_answer_to_an_order_is_judged(status: int, body: bytes, head: dict[str, str]) -> None:
    reply = Reply(status, body, head, datetime(2026, 1, 2, tzinfo=UTC))
    answer = classify.classify_order_answer(reply)
    assert reply.exchange.http_status == status
    check_error(classify.refusal_error(reply))
    if isinstance(answer, Answered):
        for with_links in (True, False):
            bound = binding.match_items(ASKED, answer.order, with_links=with_links)
            assert bound is None or sorted(bound) == list(range(len(ASKED)))
        assert answer.order.created is None or answer.order.created.tzinfo is UTC
        assert answer.order.stamp is None or isinstance(answer.order.stamp, str)
    else:
        is_harmless(printable_lines(str(answer)))


@tries(200)
@given(body=st.one_of(documents(ANSWERED), documents(ANSWERED["items"])), width=st.sampled_from([None, 1, 20, 80, 200]))
def test_any_answer_can_be_shown_and_only_shown(body: bytes, width: int | None) -> None:
    try:
        document = responses.read_object(body)
    except responses.Unreadable:
        return
    lines = results.rows_from_order(document)
    is_harmless(rendered("table", lambda out: out.parts(order_parts(order_facts.api_summary(document), lines, width))))
    is_harmless(rendered("json", lambda out: out.json(document)))
    is_harmless(rendered("csv", lambda out: out.lines(csv_format.results_csv(lines))), but="\t\r\n")
    written: Any = exact_json.loads(rendered("jsonl", lambda out: out.json_line(document)))
    assert document == written


@tries(200)
@given(body=st.one_of(documents(PRODUCT), documents(PAGE)), value=st.decimals(0, 10**9, places=2))
def test_any_page_or_product_is_read_or_unreadable(body: bytes, value: Any) -> None:
    try:
        document = responses.read_object(body)
        assert pagination.cursor_after(document) != ""
        product = responses.parse(catalogue.Product, document)
        assert catalogue.takes_value(product, value) in {True, False}
        assert isinstance(catalogue.describe_denominations(product), str)
        assert all(isinstance(code, str) for code in catalogue.plan_codes(product))
        list(pagination.member_list(document, "items"))
    except responses.Unreadable:
        pass


def rendered(kind: Literal["table", "json", "jsonl", "csv"], show: Any) -> str:
    """Return what is written to standard output, which is no terminal."""
    out = Output(kind)
    stream = io.BytesIO()
    out._stream = io.TextIOWrapper(stream, "utf-8")
    show(out)
    out.flush()
    return stream.getvalue().decode()


def is_harmless(text: str, but: str = "\n") -> None:
    text.encode()
    found = {char for char in text if char not in but and unicodedata.category(char) in {"Cc", "Zl", "Zp"}}
    found |= set(text) & set("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
    assert not found, f"shown as they are: {found}"
