"""Inputs that were valid once: files and replies with something in them that nobody would write."""

import csv
import io
import json
import zipfile
from functools import cache
from typing import Any

import xlsxwriter
from hypothesis import strategies as st

ORDER: dict[str, Any] = {
    "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
    "items": [
        {
            "face_value": 10.5,
            "distribution_method": {"type": "EMAIL", "email_address": "ann@example.com"},
            "products": {"type": "SINGLE", "value": "AMZ-US"},
        },
        {
            "face_value": 20,
            "distribution_method": {
                "type": "RECIPIENT", "recipient_reference": "panel-7", "email_address": "bob@example.com",
                "template_id": "DT-01HPSF51G0ZWHJ3JTNWRH0WDYK",
            },
            "products": {"type": "MULTIPLE", "values": ["AMZ-US", "AMC-US"]},
        },
        {
            "face_value": 30,
            "distribution_method": {"type": "PAYOUT_LINK"},
            "products": {"type": "TEMPLATE", "template_id": "PT-01HPSF51G0ZWHJ3JTNWRH0WDYK"},
        },
    ],
    "description": "wave 2",
    "metadata": {"team": "north"},
}  # fmt: skip
ANSWERED: dict[str, Any] = {
    "id": "O-01HPSF51G0ZWHJ3JTNWRH0WDYK",
    "status": "COMPLETED",
    "created_at": "2026-01-02T12:00:00.123456+00:00",
    "completed_at": "2026-01-02T12:00:01.123456+00:00",
    "description": "wave 2",
    "currency": "USD",
    "total_discount": "0.00",
    "total_price": "60.50",
    "items": [
        {
            **item,
            "id": f"E-{number}",
            "face_value": f"{item['face_value']:.2f}",
            "price": "9.90",
            "currency": "USD",
            "payout": {"url": f"https://spend.runa.io/{number}", "status": "ACTIVE", "expiry_date": "2027-01-02"},
        }
        for number, item in enumerate(ORDER["items"])
    ],
    "transaction_detail": {"GBP": {"value": "5", "fx": {"rate": "1.2", "rate_symbol": "GBP/USD", "fee": {"value": 1}}}},
    "metadata": {"runa_cli_key": "5b0c9a52-7e0f-5c9d-8b77-2d535b0c9a52"},
    "message": "done",
}
REFUSED: dict[str, Any] = {
    "type": "validation_error",
    "message": "The request is invalid.",
    "help": None,
    "details": [{"message": "wrong", "location": ["body", "items", 0, "face_value"], "type": "value_error"}],
}
PRODUCT: dict[str, Any] = {
    "code": "AMZ-US",
    "currency": "USD",
    "state": "LIVE",
    "is_orderable": True,
    "gift_card": {"denominations": {"type": "fixed", "available_list": ["10", 20.5], "minimum_value": "10"}},
    "subscription": {"subscription_plans": [{"subscription_plan_code": "A-US"}]},
}
PAGE: dict[str, Any] = {
    "items": [{"id": "O-1", "status": "COMPLETED", "total_price": "10.00", "created_at": "2026-01-02T12:00:00Z"}],
    "pagination": {"cursors": {"after": "abc"}},
}

BOM = b"\xef\xbb\xbf"
# Text that a terminal acts on, a reader cannot see, a spreadsheet runs, or an encoder cannot encode.
NASTY = (
    "", " ", "\x00", "\x07", "\x1b[31m", "\x1b]8;;https://evil.example\x07", "\r", "\n", "\r\n", "\t", "\x85", "\x9b",
    "\u200b", "\u200f", "\u202e", "\u2028", "\u2066", "\ufeff", "\ue000", "\U000e0001", "\ud800", "\udc80", "\u0301",
    "=1+1", "@SUM(A1)", "+1", "-", "[bold]", "[/]", ":smile:", "|", "|AMZ-US", ",", ";", '"', '""', "'", "\u017f",
    "\u0130", "ß",
    "ann@example.com", "ANN@EXAMPLE.COM", "a\u202enn@example.com", "ann@exam\u200bple.com", "ann@localhost",
    "\u0661\u0660", "\uff11\uff10", "²", "1_0", "0x10", "1e2", "1e400", "-0", "NaN", "Infinity", "1e-400", "9" * 400,
    "1." + "0" * 400,
    "1e99999999999999999999", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30", "AMZ-GB", "USD",
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn"]), max_size=4),
    st.builds(lambda text, times: text * times, st.sampled_from(NASTY), st.integers(2, 300)),
    st.builds(lambda text, nasty: text[:4] + nasty + text[4:], st.sampled_from(["ann@example.com", "AMZ-US", "wave 2"]),
              st.sampled_from(NASTY)),
)  # fmt: skip
# Raw JSON in the place of a value: what no dictionary can hold.
RAW = (
    "NaN", "-Infinity", "1e400", "1E+99999999999999999999", "-0.0", "0.1000000000000000055", "9" * 5000,
    "1." + "9" * 999, "[" * 70 + "]" * 70, '{"a":' * 70 + "1" + "}" * 70, "[" * 100_000,
    '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"',
    '{"a":1,"a":2}', "tru", "01", "+1", "1.", ".5", "'a'", '"\t"', "", "[1,]", "{,}", "/**/1", "\ufeff1", "1 2", "]",
    "}",
)  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts,
    st.sampled_from([f"\x00raw{number}\x00" for number in range(len(RAW))]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)


@st.composite
def documents(draw: st.DrawFn, original: Any) -> bytes:
    """Draw a document with a few of its values replaced, left out, doubled or moved, and some of its bytes too."""
    document = json.loads(json.dumps(original))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 4]))):
        document = _mutated(draw, document)
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    for number, raw in enumerate(RAW):
        text = text.replace(f'"\\u0000raw{number}\\u0000"', raw)
    return draw(damaged(text.encode("utf-8", draw(st.sampled_from(["replace", "surrogatepass"])))))


def _mutated(draw: st.DrawFn, document: Any) -> Any:
    places = list(_places(document))
    if not places:
        return draw(values)
    holder, name = draw(st.sampled_from(places))
    match draw(st.integers(0, 5)):
        case 0:
            del holder[name]
        case 1:
            holder[name] = [holder[name]] * draw(st.integers(0, 3))
        case 2:
            other, other_name = draw(st.sampled_from(places))
            holder[name] = json.loads(json.dumps(other[other_name]))
        case 3 if isinstance(holder, dict):
            holder[draw(texts)] = draw(values)
        case _:
            holder[name] = draw(values)
    return document


def _places(value: Any) -> Any:
    for name in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, name
        yield from _places(value[name])


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Draw the same bytes, sometimes with some of them cut, doubled or replaced."""
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 0, 1, 2]))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 20)))
        new = draw(st.one_of(st.binary(max_size=6), st.sampled_from(NASTY).map(_encoded), st.just(raw[start:end] * 2)))
        raw = raw[:start] + new + raw[end:]
    return draw(st.sampled_from([b"", b"", b"", b"", b"", BOM, BOM * 2, b"\xff\xfe", b"\n \r\n"])) + raw


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


HEADERS = (
    ["face_value", "email", "product"],
    ["product", "face_value", "quantity", "team"],
    ["face_value", "email", "products", "description", "reference", "=1+1"],
)
HEADER = ("face_value", "email", "product", "currency", "quantity", "description", "reference", "recipient",
          "product_template", "template_id", "email_address", "products", "team", "emial", "FACE VALUE",
          "")  # fmt: skip
CELLS = {
    "face_value": "10", "email": "ann@example.com", "product": "AMZ-US", "currency": "USD", "quantity": "2",
    "description": "wave 2", "reference": "E1", "recipient": "panel-7", "products": "AMZ-US|AMC-US",
}  # fmt: skip


@st.composite
def tidy_sheets(draw: st.DrawFn) -> bytes:
    """Draw a CSV file in which at most a few cells are strange."""
    names = draw(st.sampled_from(HEADERS))
    lines = [[CELLS.get(name, "") for name in names] for _ in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(0, 2))):
        draw(st.sampled_from(lines))[draw(st.integers(0, len(names) - 1))] = draw(texts)
    text = io.StringIO()
    csv.writer(text, delimiter=draw(st.sampled_from(",;\t"))).writerows([names, *lines])
    return draw(st.sampled_from([b"", BOM])) + text.getvalue().encode("utf-8", "replace")


@st.composite
def sheets(draw: st.DrawFn) -> bytes:
    """Draw what was meant to be a CSV file."""
    names = draw(
        st.one_of(
            st.sampled_from(HEADERS),
            st.lists(st.sampled_from(HEADER), min_size=1, max_size=8),
            st.lists(st.one_of(st.sampled_from(HEADER), texts), max_size=6),
        )
    )
    delimiter = draw(st.sampled_from([*",,,;;\t\t", "|", "\x00", "\u2028"]))
    newline = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\u2028", "\x0b"]))
    lines = [names]
    for _ in range(draw(st.integers(0, 4))):
        cells = [draw(texts) if draw(st.integers(0, 9)) == 0 else CELLS.get(name, "") for name in names]
        lines.append(cells + draw(st.sampled_from([*[[]] * 8, [""], ["more"]])))
    quote = draw(st.sampled_from(["", "", '"', '"', "'"]))
    text = newline.join(delimiter.join(quote + cell + quote for cell in line) for line in lines)
    encoding = draw(st.sampled_from([*["utf-8"] * 6, "utf-16", "latin-1"]))
    errors = "surrogatepass" if encoding.startswith("utf") else "replace"
    return draw(damaged(text.encode(encoding, errors)))


CELLS = {"face_value": "10", "email": "ann@example.com", "product": "AMZ-US", "team": "north"}
_READ = ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml", "xl/workbook.xml")
_PIECES = (
    b"", b"<", b">", b"/>", b'"', b"&", b"&#0;", b"-1", b"1e999", b"NaN", b"99999999999999999999", b"s", b"e", b"d",
    b"XFD1", b"\xff", b"<f>A1</f>", b"<v></v>", b"<row/>", b"inlineStr", b"A0", b"#REF!",
)  # fmt: skip


@cache
def _workbook() -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        money = book.add_format({"num_format": "$#,##0.00"})
        for row, cells in enumerate(([*CELLS], [*CELLS.values()], [*CELLS.values()])):
            sheet.write_row(row, 0, cells)
        sheet.write_number(1, 0, 10.5, money)
        sheet.write_formula(2, 0, "=2*5", money, 10)
        sheet.write_boolean(2, 3, True)
    return stream.getvalue()


@st.composite
def damaged_workbooks(draw: st.DrawFn) -> bytes:
    """Return a workbook one of whose parts has other bytes in a few places, or is missing."""
    stream = io.BytesIO()
    damaged_part = draw(st.sampled_from(_READ))
    with zipfile.ZipFile(io.BytesIO(_workbook())) as whole, zipfile.ZipFile(stream, "w") as changed:
        for name in whole.namelist():
            content = whole.read(name)
            if name == damaged_part:
                for _ in range(draw(st.integers(1, 3))):
                    start, length = draw(st.integers(0, len(content))), draw(st.integers(0, 20))
                    content = content[:start] + draw(st.sampled_from(_PIECES)) + content[start + length :]
            if name != damaged_part or draw(st.integers(0, 30)):
                changed.writestr(name, content)
    return stream.getvalue()
