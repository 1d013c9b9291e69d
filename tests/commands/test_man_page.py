"""The man page is what the program's commands make of it, is clean, and its examples are true."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperArgument, TyperGroup

from runa_cli import cli
from runa_cli.config.names import NAMES
from runa_cli.core import errors
from tests.support.program import Program
from tests.support.scripts import load_script
from tests.test_readme import kinds

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs/man/runa.1"
needs_mandoc = pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is missing")


def mandoc(*arguments: str) -> str:
    """Return what mandoc writes of the page."""
    ended = subprocess.run(["mandoc", *arguments, str(PAGE)], capture_output=True, encoding="utf-8", check=False)
    return ended.stdout + ended.stderr


@cache
def shown() -> str:
    """Return the page as a reader sees it, without the marks of bold text."""
    return re.sub(".\b", "", mandoc("-T", "utf8", "-O", "width=200"))


def commands(command: Any, path: str = "runa") -> Iterator[tuple[str, Any]]:
    """Yield every command of the program under its whole name."""
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(commands(typer.main.get_command(cli.program())))


def test_the_page_is_what_the_generator_writes_of_the_program_as_it_is() -> None:
    generated = load_script(PROJECT / "completions/generate.py").generated(cli.program())
    assert generated["docs/man/runa.1"] == PAGE.read_text(encoding="utf-8"), "python completions/generate.py"


@needs_mandoc
def test_the_linter_has_nothing_to_say() -> None:
    assert "" == mandoc("-T", "lint")


def test_every_terminal_can_show_the_page() -> None:
    """Older readers drop a character that the terminal has not."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.isascii()
    assert "\\[u" not in page


@needs_mandoc
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_section_with_its_options_and_arguments(name: str) -> None:
    """What every command takes has a section of its own."""
    section = re.search(rf"\n   {name}\n(.*?)(?=\n   runa |\n[A-Z])", shown(), re.DOTALL)
    assert section is not None
    common = shown().partition("OPTIONS OF EVERY COMMAND")[2]
    for parameter in COMMANDS[name].get_params(typer.Context(COMMANDS[name])):
        if isinstance(parameter, TyperArgument):
            metavar = re.escape((parameter.metavar or "").strip("[]"))
            assert re.search(rf"^     {name} \[?{metavar}\b", shown(), re.MULTILINE)
        else:
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert re.search(rf"(^|[ ,]){re.escape(option)}([ ,]|$)", section[1] + common, re.MULTILINE), option


@needs_mandoc
def test_every_exit_status_is_there() -> None:
    codes = re.findall(r"^     (\d+) ", shown().partition("EXIT STATUS")[2], re.MULTILINE)
    assert sorted({0, *(kind.exit_code for kind in kinds(errors.RunaError))}) == [int(code) for code in codes]


@needs_mandoc
def test_every_setting_is_there() -> None:
    environment = shown().partition("\nENVIRONMENT\n")[2].partition("\nFILES\n")[0]
    assert {*NAMES} == set(re.findall(r"RUNA_[A-Z_]+", environment)) & {*NAMES}


@needs_mandoc
def test_the_examples_do_what_they_say(program: Program) -> None:
    """As a shell reads them, in their order."""
    examples = re.findall(r"^ {11}(runa .*(?:\n {11}--.*)*)", shown().partition("\nEXAMPLES\n")[2], re.MULTILINE)
    assert 5 == len(examples)
    runa = f'runa() {{ {sys.executable} -m runa_cli "$@"; }}'
    for example in examples:
        ran = program.execute(["sh", "-c", f"{runa}\n{example}"])
        assert 0 == ran.code, (example, ran.err)
    assert (program.home / "results.csv").exists()
