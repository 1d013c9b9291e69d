"""Commands and what they print, as documents show them, and whether the program prints that."""

import re
from pathlib import Path

from tests.support.program import Program
from tests.support.ran import Ran

ROOT = Path(__file__).parents[2]


def read(document: str) -> str:
    """Return the text of a document, whose path begins at the top of the project."""
    return (ROOT / document).read_text(encoding="utf-8")


def examples(document: str) -> list[tuple[str, str]]:
    """Return the commands that a document shows after a prompt, each with what it prints."""
    return [
        (command, shown)
        for block in re.findall(r"```console\n(.*?)```", read(document), re.DOTALL)
        for command, shown in re.findall(r"^\$ (.*?)\n(.*?)(?=^\$ |\Z)", block, re.DOTALL | re.MULTILINE)
    ]


def blocks(document: str, language: str) -> list[str]:
    """Return the blocks of code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", read(document), re.DOTALL)


def put_on_path(program: Program, directory: Path) -> None:
    """Let commands of a shell find the program under its name."""
    runa = directory / "bin" / "runa"
    runa.parent.mkdir()
    runa.write_text(f'#!/bin/sh\nexec {" ".join(program.command())} "$@"\n')
    runa.chmod(0o755)
    program.env = {
        **program.env,
        "PATH": f"{runa.parent}:{program.environment()['PATH']}",
        "PYTHONPATH": str(ROOT),
    }


def check_examples(program: Program, document: str) -> None:
    """Run the examples of a document in their order, as a reader does, and compare both streams with what is shown.

    In a line `…` stands for anything, alone for any lines.
    """
    for command, shown in examples(document):
        ran = program.execute(["sh", "-c", f"{{ {command}\n}} 2>&1"])
        assert re.fullmatch(_pattern(shown), as_shown(ran)), f"{command}\n{as_shown(ran)}"


def as_shown(ran: Ran) -> str:
    """Return what a run printed, and how it ended, as documents show it."""
    return ran.out + (f"[exit {ran.code}]\n" if ran.code else "")


def _pattern(shown: str) -> str:
    lines = ["(?:.*\n)*" if line == "…\n" else re.escape(line).replace("…", ".*") for line in shown.splitlines(True)]
    return "".join(lines)
