"""Encodings: what a file says of itself, and what a person says of it; nothing is guessed."""

import pytest

from runa_cli.core import exact_json
from runa_cli.input.plan import Plan
from runa_cli.input.reader import Format
from tests.support.plans import ITEM, gifts, items, mistakes, read, read_csv

SHEET = "email,face_value,name\nann@example.test,25,Ännchen\nben@example.test,30,Noël\n"
ADVICE = "save it as UTF-8, or say what it is with --encoding, for Western Europe often --encoding cp1252."


def plan(content: bytes, encoding: str | None = None) -> Plan:
    return read_csv(content, products=("AMZ-US",), encoding=encoding)


def names(content: bytes, encoding: str | None = None) -> list[str]:
    return [gift.carried[0] for gift in gifts(plan(content, encoding))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_utf_8_and_what_has_a_byte_order_mark_are_read_as_they_are(encoding: str) -> None:
    assert ["Ännchen", "Noël"] == names(SHEET.encode(encoding))


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "utf-16-le", "utf-16-be", "iso8859-15"])
def test_any_other_encoding_is_read_where_it_is_named(encoding: str) -> None:
    assert ["Ännchen", "Noël"] == names(SHEET.encode(encoding), encoding)


def test_a_byte_that_is_not_utf_8_is_named_with_its_line() -> None:
    content = SHEET.encode("cp1252")
    assert [f"stdin, line 2: is not UTF-8 (byte 0xc4): {ADVICE}"] == mistakes(lambda: plan(content))
    later = SHEET.encode() + b"\xc3\n"
    assert [f"stdin, line 4: is not UTF-8 (byte 0xc3): {ADVICE}"] == mistakes(lambda: plan(later))


def test_a_byte_far_into_a_long_file_is_named_with_its_line() -> None:
    content = SHEET.encode() + b"cat@example.test,5,x\n" * 30_000 + b"dan@example.test,5,\xe9\n"
    assert [f"stdin, line 30004: is not UTF-8 (byte 0xe9): {ADVICE}"] == mistakes(lambda: plan(content))


def test_an_encoding_that_does_not_have_a_byte_is_doubted() -> None:
    content = SHEET.encode() + b"\x81\n"
    assert ["stdin, line 4: is not cp1252 (byte 0x81): check --encoding."] == mistakes(lambda: plan(content, "cp1252"))


@pytest.mark.parametrize(("encoding", "half"), [("utf-16-le", "le"), ("utf-16-be", "be")])
def test_utf_16_without_a_mark_is_recognised_but_not_guessed(encoding: str, half: str) -> None:
    expected = f"stdin: looks like UTF-16 without a byte order mark: add --encoding utf-16-{half}."
    assert [expected] == mistakes(lambda: plan(SHEET.encode(encoding)))


def test_excels_unicode_text_is_read() -> None:
    """UTF-16 with a byte order mark, tabs, and line ends of Windows."""
    content = SHEET.replace(",", "\t").replace("\n", "\r\n").encode("utf-16")
    assert ["Ännchen", "Noël"] == names(content)


@pytest.mark.parametrize("file_format", ["json", "jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_may_have_a_byte_order_mark_too(file_format: Format, encoding: str) -> None:
    (item,) = items(read(ITEM.encode(encoding), file_format))
    assert 10 == item["face_value"]


@pytest.mark.parametrize("file_format", ["json", "jsonl"])
def test_json_in_another_encoding_is_read_where_it_is_named(file_format: Format) -> None:
    raw = f'{{"items":[{ITEM}],"description":"Prämie"}}'.encode("cp1252")
    (found,) = mistakes(lambda: read(raw, file_format))
    assert f"stdin, line 1: is not UTF-8 (byte 0xe4): {ADVICE}" == found
    with read(raw, file_format, encoding="cp1252") as decoded:
        (order,) = decoded.orders()
        assert exact_json.dumps("Prämie") in order.body(None).decode()


def test_lines_of_files_that_were_joined_may_have_a_mark_each() -> None:
    mark = b"\xef\xbb\xbf"
    assert 2 == len(items(read(mark + ITEM.encode() + b"\n" + mark + ITEM.encode() + b"\n", "jsonl")))


def test_what_has_no_meaning_for_a_format_is_refused() -> None:
    found = mistakes(lambda: read(ITEM, "json", header_row=3, carry=("a",), sheet="b"))
    assert [
        "--sheet: has no meaning for a file in the format json.",
        "--header-row: has no meaning for a file in the format json.",
        "--carry: has no meaning for a file in the format json.",
    ] == found
