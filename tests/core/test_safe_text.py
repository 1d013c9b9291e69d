"""Text from outside does nothing to a terminal or a spreadsheet."""

import unicodedata

import pytest

from runa_cli.core.safe_text import defused, printable, printable_lines


@pytest.mark.parametrize("text", ["", "plain", "Zoë 日本 🎁 ☀️", "[bold]x[/bold]", "a\\b", "e\u0301"])
def test_readable_text_stays_as_it_is(text: str) -> None:
    assert text == printable(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]8;;http://evil.test\x07x", "\\x1b]8;;http://evil.test\\x07x"),
        ("a\rb", "a\\rb"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb\u00ad\ufeff", "a\\u200bb\\xad\\ufeff"),
        ("a\u2028b", "a\\u2028b"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_a_terminal_acts_on_or_nobody_sees_stands_as_an_escape(text: str, shown: str) -> None:
    assert shown == printable(text)


def test_no_control_character_of_any_kind_comes_through() -> None:
    everything = "".join(map(chr, range(0x11000)))
    left = {char for char in printable(everything) if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert set() == left


def test_lines_stay_lines() -> None:
    assert "a\\x1b\nb\\r\n" == printable_lines("a\x1b\nb\r\n")


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "-", "+", "--5",
        "+44 20 7946", "-5\n", "-1e5", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x",
    ],
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_run_is_defused(cell: str) -> None:
    assert "'" + cell == defused(cell)


@pytest.mark.parametrize(
    "cell", ["", "plain", "a=1", "10.50", "-5", "+5", "-5.25", "-5,25", "'=1", "https://x.test/=1"]
)
def test_a_harmless_cell_stays_as_it_is(cell: str) -> None:
    assert cell == defused(cell)
