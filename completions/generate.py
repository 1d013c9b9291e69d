"""Write the completion scripts and the man page from the program's commands and options.

Whoever changes a command, an option or a help text runs `python completions/generate.py`; tests compare what it writes
with what is there.
"""

import sys
from pathlib import Path

import typer

sys.path.insert(0, str(Path(__file__).parent))  # where this file is loaded by its path

import command_tree
from bash_script import bash
from fish_script import fish
from man_page import man_page
from zsh_script import zsh

from runa_cli.cli import program

PROJECT = Path(__file__).resolve().parent.parent


def scripts(program: typer.Typer) -> dict[str, str]:
    """Return the text of each completion script by its file name."""
    tree = command_tree.read(program)
    return {"runa.bash": bash(tree), "_runa": zsh(tree), "runa.fish": fish(tree)}


def generated(program: typer.Typer) -> dict[str, str]:
    """Return the text of every generated file by its path in the project."""
    own = {f"completions/{name}": text for name, text in scripts(program).items()}
    return own | {"docs/man/runa.1": man_page(command_tree.read(program), PROJECT)}


if __name__ == "__main__":
    for path, text in generated(program()).items():
        (PROJECT / path).parent.mkdir(exist_ok=True)
        (PROJECT / path).write_text(text, encoding="utf-8")
