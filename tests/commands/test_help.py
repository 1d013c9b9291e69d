"""The help: every command has a purpose and examples that work, in whole words on any terminal."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from runa_cli import cli
from runa_cli.commands.help import parts_of
from runa_cli.config import settings
from runa_cli.config.names import NAMES
from tests.support.program import Program

ROOT = typer.main.get_command(cli.program())
NO_SETTING = {("product list", "--currency"), ("product list", "--product"), ("gift list", "--product")}  # but a filter


def walk(command: Any = ROOT, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the commands that do something, by the words that lead to them."""
    for name, inner in command.commands.items():
        words = f"{path} {name}".strip()
        if isinstance(inner, TyperGroup):
            yield from walk(inner, words)
        else:
            yield words, inner


GROUPS = ["", *sorted({words.rpartition(" ")[0] for words, _ in walk()} - {""})]
COMMANDS = [words for words, _ in walk()]
BY_WORDS = dict(walk())


def parsed(line: str) -> str:
    """Parse a command line as the program does, and return the words of the command that it would run."""
    words = shlex.split(line.partition(" > ")[0])
    assert "runa" == words.pop(0)
    command: Any = ROOT
    context = ROOT.make_context("runa", words)
    path: list[Any] = []
    while isinstance(command, TyperGroup):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        path.append(name)
        context = command.make_context(name, rest, parent=context)
    return " ".join(path)


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_says_in_one_line_what_it_is_for(words: str) -> None:
    purpose = parts_of(BY_WORDS[words].help).purpose
    assert (True, ".") == (0 < len(purpose) <= 78, purpose[-1:]), purpose


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_has_examples_that_are_understood(words: str) -> None:
    examples = parts_of(BY_WORDS[words].help).examples
    assert 1 <= len(examples) <= 3
    assert {words} == {parsed(example) for example in examples}


def test_the_examples_of_the_program_itself_are_understood() -> None:
    assert {"order create", "order example"} == {parsed(example) for example in parts_of(ROOT.help).examples}


def test_an_example_that_is_not_understood_would_be_noticed() -> None:
    with pytest.raises(typer.exceptions.TyperException):
        parsed("runa order create --no-such-option")


@pytest.mark.parametrize("words", [*GROUPS, *COMMANDS])
@pytest.mark.parametrize("columns", [40, 80])
def test_lines_fit_and_hold_whole_words(program: Program, words: str, columns: int) -> None:
    ran = program(*words.split(), "--help", COLUMNS=str(columns))
    assert (0, "") == (ran.code, ran.err)
    assert [] == [line for line in ran.out.splitlines() if len(line) > columns and len(line.split()) > 1]
    wide = program(*words.split(), "--help", COLUMNS="100").out
    assert set(wide.split()) - {"\\"} == set(ran.out.split()) - {"\\"}
    assert "<" not in ran.out


def test_options_come_in_the_order_in_which_people_need_them(program: Program) -> None:
    titles = re.findall(r"^([A-Z][a-z ]+)$", program("order", "create", "-h").out, re.MULTILINE)
    assert [
        "Examples", "The gift", "Many gifts from a file", "The order", "Once", "Safety", "Sending",
        "Options of every command",
    ] == titles  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS)
def test_an_option_names_its_variable_and_its_default(words: str) -> None:
    defaults = settings.load(environ={"HOME": "/nowhere"})
    for option in (one for one in BY_WORDS[words].params if one.param_type_name == "option"):
        variable = f"RUNA_{max(option.opts, key=len).lstrip('-').replace('-', '_').upper()}"
        if variable not in NAMES or (words, f"--{variable[5:].lower().replace('_', '-')}") in NO_SETTING:
            continue
        assert f"{variable})" in option.help
        if variable in {"RUNA_MODE", "RUNA_TIMEOUT", "RUNA_RATE_LIMIT", "RUNA_CONCURRENCY", "RUNA_OUTPUT"}:
            default = getattr(defaults, variable[5:].lower()).value
            shown = f"{default:g}" if isinstance(default, float) else default
            assert f"(default {shown};" in option.help


def test_the_program_alone_shows_where_to_start(program: Program) -> None:
    ran = program()
    assert (2, "") == (ran.code, ran.err)
    assert "$ runa order create --face-value 10" in ran.out.replace("\\\n", "")
    commands = re.findall(r"^  (\w+)  ", ran.out.partition("Commands")[2], re.MULTILINE)
    assert ["order", "batch", "gift", "product", "balance", "ping", "config"] == commands[:7]


@pytest.mark.parametrize("words", ["", "order", "order create"])
def test_h_is_help(program: Program, words: str) -> None:
    assert program(*words.split(), "--help").out == program(*words.split(), "-h").out


@pytest.mark.parametrize("words", ["", "order", "--help", "ping -h"])
def test_help_that_cannot_be_written_is_an_error(program: Program, words: str) -> None:
    command = " ".join([*program.command(*words.split())])
    full = program.execute(["bash", "-c", f"{command} > /dev/full"])
    closed = program.execute(["bash", "-c", f"{command} >&-"])
    assert (9, "Error: The output could not be written: No space left on device.\n") == (full.code, full.err)
    assert (9, "Error: The help could not be written: standard output is closed.\n") == (closed.code, closed.err)


def test_a_reader_of_the_help_may_have_enough(program: Program) -> None:
    piped = f"{' '.join(program.command('--help'))} | head -1; echo ${{PIPESTATUS[0]}}"
    ran = program.execute(["bash", "-c", piped])
    assert ("0", "") == (ran.out.splitlines()[-1], ran.err)
