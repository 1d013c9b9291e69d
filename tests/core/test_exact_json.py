"""JSON keeps amounts as they were written and never acts on a terminal."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runa_cli.core import exact_json


@pytest.mark.parametrize(
    "text", ["10", "10.50", "0.10", "-0", "1e2", "1E-7", "12345678901234567890.123456789012345678901234567890"]
)
def test_a_number_is_written_again_as_it_came(text: str) -> None:
    assert text == exact_json.dumps(exact_json.loads(text))


def test_a_number_is_the_decimal_it_shows() -> None:
    """0.1 and 0.2 make 0.3, which they do not once they were binary floats."""
    assert Decimal("0.3") == sum(exact_json.loads("[0.1, 0.2]"))  # type: ignore[call-overload] # the text is a list


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[1,]", "Expecting value"),
        ("1 2", "Extra data"),
        ("NaN", "NaN is not JSON"),
        ("[Infinity]", "Infinity is not JSON"),
        ('{"a":-Infinity}', "-Infinity is not JSON"),
        ('{"face_value":1,"face_value":100}', '"face_value" is given twice in one object'),
        ('[{"a":{"b":1,"c":2,"b":3}}]', '"b" is given twice in one object'),
        ("1e99999999999999999999", "the number 1e99999999999999999999 is too large"),
    ],
)
def test_what_is_not_json_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        exact_json.loads(text)


def test_a_document_may_be_as_deep_as_a_program_would_write_it() -> None:
    assert "[" * 64 + "]" * 64 == exact_json.dumps(exact_json.loads("[" * 64 + "]" * 64))


@pytest.mark.parametrize("depth", [65, 1_000, 100_000])
@pytest.mark.parametrize("brackets", ["[]", ('{"a":', "}")])
def test_a_document_that_is_nested_too_deeply_is_refused(depth: int, brackets: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        exact_json.loads(brackets[0] * depth + "1" + brackets[1] * depth)


@pytest.mark.parametrize("value", ["Zoë, naïve 日本 🎁", 'a "quoted" \\ path', "", "line\nbreak\ttab", "\ud800"])
def test_text_comes_back_as_it_was(value: str) -> None:
    assert value == json.loads(exact_json.dumps(value))


def test_readable_text_stays_readable() -> None:
    assert '"Zoë 日本 🎁"' == exact_json.dumps("Zoë 日本 🎁")


@pytest.mark.parametrize(
    "char", ["\x00", "\x1b", "\x7f", "\x85", "\x9b", "\u200b", "\u200f", "\u2028", "\u202e", "\u2066", "\ufeff"]
)
def test_a_character_that_a_terminal_acts_on_is_escaped(char: str) -> None:
    text = exact_json.dumps({char: [char]})
    assert text.isascii()
    assert text.isprintable()
    assert {char: [char]} == json.loads(text)


def test_a_lone_surrogate_can_still_be_written_to_a_stream() -> None:
    assert b'{"\\udc80":"\\udc80"}' == exact_json.dumps({"\udc80": "\udc80"}).encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        ((1, "a"), '[1,"a"]'),
        ({}, "{}"),
        ([[], {}], "[[],{}]"),
        ({"a": {"b": [1, 2]}}, '{"a":{"b":[1,2]}}'),
    ],
)
def test_a_value_is_written_compactly(value: object, text: str) -> None:
    assert text == exact_json.dumps(value)


def test_a_binary_float_is_never_written() -> None:
    with pytest.raises(TypeError, match="float cannot be written as JSON"):
        exact_json.dumps({"face_value": 0.1})


def test_indented_output_looks_like_everybody_elses() -> None:
    value = {"a": [1, {"b": None}], "empty": [], "none": {}, "text": "é"}
    assert json.dumps(value, indent=2, ensure_ascii=False) == exact_json.dumps(value, indent=2)


def test_a_decoder_for_part_of_a_text_keeps_the_same_rules() -> None:
    value, end = exact_json.decoder().raw_decode('{"a":1.50} and more')
    assert ('{"a":1.50}', 10) == (exact_json.dumps(value), end)
    with pytest.raises(ValueError, match="given twice"):
        exact_json.decoder().raw_decode('{"a":1,"a":2}')


_NUMBERS = st.sampled_from(["0", "-0", "10", "10.00", "1E+2", "1e-7", "12345678901234567890.50", "-3.5"])
_LEAVES = st.one_of(st.none(), st.booleans(), st.text(st.characters(codec=None)), _NUMBERS.map(exact_json.Number))
_DOCUMENTS = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


@given(_DOCUMENTS)
def test_the_quick_writer_writes_what_the_other_one_does(document: object) -> None:
    """The recorded items of Runa's replies must not depend on which of them wrote them."""
    read = exact_json.loads(exact_json.dumps(document))
    assert exact_json.dumps(read) == exact_json.dumps_read(read)


@pytest.mark.parametrize("value", [Path("/"), {"a": object()}])
def test_the_quick_writer_refuses_what_is_not_json(value: object) -> None:
    with pytest.raises(TypeError):
        exact_json.dumps_read(value)
