"""Sentences on a terminal: lines end between words, commands and paths can be copied, and pipes get one line."""

import io

import pytest

from runa_cli.core.errors import Context, GuardRefused
from runa_cli.output.console import Console
from runa_cli.output.stdout import Output
from runa_cli.output.tables import Part, Summary, summary_parts
from tests.support.drawn import drawn, screen

SENTENCE = "Not confirmed, because the answer was no. Nothing was changed."
COMMAND = "`runa batch approve bonus --signature FILE.sig`"
PATH = "/home/ann/.local/share/runa/a-rather-long-name/ledger.db"


def said(sentence: str, width: int | None) -> list[str]:
    with screen("stderr", width) as stream:
        Console(no_color=True).say(sentence)
    return stream.lines


@pytest.mark.parametrize("width", [20, 40, 61])
def test_lines_end_between_words(width: int) -> None:
    lines = said(SENTENCE, width)
    assert SENTENCE == " ".join(lines)
    assert [] == [line for line in lines if len(line) > width or line != line.strip()]


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}])
def test_without_a_terminal_a_sentence_is_one_line(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert [SENTENCE] == said(SENTENCE, None)


def test_a_command_is_not_broken_where_it_fits_on_a_line() -> None:
    assert ["Somebody else runs", f"{COMMAND}."] == said(f"Somebody else runs {COMMAND}.", 50)


@pytest.mark.parametrize("whole", [COMMAND, PATH])
def test_what_is_longer_than_a_line_is_left_to_the_terminal(whole: str) -> None:
    assert ["The next step is", whole, "and no more."] == said(f"The next step is {whole} and no more.", 40)


def test_an_entry_of_a_list_stays_indented() -> None:
    assert ["Two mistakes:", "  line 2: is not", "    an address"] == said(
        "Two mistakes:\n  line 2: is not an address", 18
    )


def test_an_error_and_its_hint_are_wrapped_and_keep_their_lines() -> None:
    error = GuardRefused("The same was issued as batch bonus.", "Add --again.", Context(batch="bonus"))
    with screen("stderr", 30) as stream:
        Console(no_color=True).error(error)
    assert ["Error: The same was issued as", "batch bonus.", "Add --again.", "[batch bonus]"] == stream.lines


def test_an_error_in_json_is_one_line_on_a_terminal_too() -> None:
    with screen("stderr", 20) as stream:
        Console(as_json=True).error(GuardRefused(SENTENCE))
    assert 1 == len(stream.lines)


def test_the_answer_to_a_question_begins_after_the_whole_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with screen("stderr", 40) as stream:
        assert Console().ask("Issue 4 gifts, 2,120.00 USD, in local?")
    assert ["Issue 4 gifts, 2,120.00 USD, in local?", "[y/N] "] == stream.lines


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (30, ["4 gifts issued, 2,120.00 USD,", "all before this run."]),
        (None, ["4 gifts issued, 2,120.00 USD, all before this run."]),
    ],
)
def test_sentences_on_standard_output_are_wrapped_on_a_terminal(width: int | None, lines: list[str]) -> None:
    assert lines == drawn([Part("4 gifts issued, 2,120.00 USD, all before this run.")], width)


def test_facts_are_wrapped_where_they_begin_and_a_long_word_goes_below() -> None:
    facts = [("Issued from", "list of november.csv, by ann"), ("Recipient", "benjamin@example.com")]
    assert [
        "Order O-01M8Q05W0VVZRNRFQDGSZX",
        "COMPLETED",
        "  Issued from  list of",
        "               november.csv,",
        "               by ann",
        "  Recipient",
        "    benjamin@example.com",
    ] == drawn(summary_parts(Summary("Order", "O-01M8Q05W0VVZRNRFQDGSZX", "COMPLETED", facts), 30), 30)


def test_only_the_name_of_a_fact_is_dim() -> None:
    with screen("stdout", 60) as stream:
        Output("table").parts(summary_parts(Summary("Order", "O-1", "COMPLETED", [("Batch", "bonus")]), 60))
    assert "\x1b[2m  Batch  \x1b[0mbonus" == stream.lines[1]
