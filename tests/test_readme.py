"""The README's examples do what the README says."""

import re
import shutil
from pathlib import Path

import pytest

from runa_cli.core import errors
from tests.support.program import Program
from tests.support.ran import Ran

README = (Path(__file__).parent.parent / "README.md").read_text()
EXAMPLES = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


@pytest.mark.skipif(shutil.which("jq") is None, reason="the examples pipe into jq, which is not installed")
def test_the_examples_print_what_the_readme_shows(program: Program, tmp_path: Path) -> None:
    """In one home and in their order, for they build on each other; `…` stands for anything."""
    runa = tmp_path / "bin" / "runa"
    runa.parent.mkdir()
    runa.write_text(f'#!/bin/sh\nexec {" ".join(program.command())} "$@"\n')
    runa.chmod(0o755)
    program.env = {
        "RUNA_ENV": "local",
        "PATH": f"{runa.parent}:{program.environment()['PATH']}",
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    assert len(EXAMPLES) >= 6
    for command, shown in steps():
        ran = program.execute(["sh", "-c", command])
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
    text = ran.out + ran.err
    return text + (f"[exit {ran.code}]\n" if ran.code else "")


def pattern(shown: str) -> re.Pattern[str]:
    return re.compile(re.escape(shown).replace("…", ".*"), re.DOTALL)
