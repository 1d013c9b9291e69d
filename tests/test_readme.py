"""The README's commands and examples do what the README says."""

import re
import shutil
from pathlib import Path

import pytest

from runa_cli.core import errors
from tests.support.program import Program
from tests.support.ran import Ran

README = (Path(__file__).parent.parent / "README.md").read_text()
EXAMPLES = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
TRY = re.findall(r"<!-- try -->\n```sh\n.* (?:&& \.venv/bin/runa (.*))\n```", README)


@pytest.mark.skipif(shutil.which("jq") is None, reason="the examples pipe into jq, which is not installed")
def test_the_try_it_order_and_then_the_examples_print_what_the_readme_shows(program: Program, tmp_path: Path) -> None:
    """In one home and in their order, as a reader runs them. In a line `…` stands for anything, alone for any lines."""
    runa = tmp_path / "bin" / "runa"
    runa.parent.mkdir()
    runa.write_text(f'#!/bin/sh\nexec {" ".join(program.command())} "$@"\n')
    runa.chmod(0o755)
    program.env = {
        "PATH": f"{runa.parent}:{program.environment()['PATH']}",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    (order,) = TRY
    tried = program.execute(["sh", "-c", f"runa {order}"])
    assert (0, 1) == (tried.code, tried.out.count("/gift/"))
    program.env["RUNA_ENV"] = "local"
    assert len(EXAMPLES) >= 6
    for command, shown in steps():
        ran = program.execute(["sh", "-c", f"{{ {command}\n}} 2>&1"])  # both streams as a terminal shows them
        assert re.fullmatch(pattern(shown), as_shown(ran)), f"{command}\n{as_shown(ran)}"


def test_the_exit_codes_are_the_ones_the_program_has() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert documented == {0, *(kind.exit_code for kind in kinds(errors.RunaError))}


def kinds(kind: type[errors.RunaError]) -> set[type[errors.RunaError]]:
    return {kind}.union(*map(kinds, kind.__subclasses__()))


def steps() -> list[tuple[str, str]]:
    return [
        (command, shown)
        for example in EXAMPLES
        for command, shown in re.findall(r"^\$ (.*?)\n(.*?)(?=^\$ |\Z)", example, re.DOTALL | re.MULTILINE)
    ]


def as_shown(ran: Ran) -> str:
    return ran.out + (f"[exit {ran.code}]\n" if ran.code else "")


def pattern(shown: str) -> str:
    lines = ["(?:.*\n)*" if line == "…\n" else re.escape(line).replace("…", ".*") for line in shown.splitlines(True)]
    return "".join(lines)
