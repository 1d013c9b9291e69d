"""The completion scripts are what the program's commands and options make of them, and the shells agree with them."""

import importlib.util
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated

import pytest
import typer

from runa_cli.cli import app

COMPLETIONS = Path(__file__).parents[2] / "completions"
LONGEST = 60  # seconds: no shell takes longer unless it hangs
HOSTILE = """It's "a" [list]: `id` $HOME $(id) \\ 100% *? {x} <y> & !z ~ # | ;"""

COMPLETED = [
    (
        "runa ",
        {
            "balance",
            "ping",
            "config",
            "order",
            "batch",
            "gift",
            "product",
            "policy",
            "ledger",
            "report",
            "emulator",
            "audit",
        },
    ),
    ("runa b", {"balance", "batch"}),
    ("runa order ", {"create", "estimate", "get", "list", "example"}),
    ("runa order create --fa", {"--face-value"}),
    ("runa order create --env ", {"live", "playground", "local"}),
    ("runa order create --env=li", {"--env=live"}),
    ("runa order create --output ", {"table", "json", "jsonl", "gifts", "csv", "links"}),
    ("runa order create -o ", {"table", "json", "jsonl", "gifts", "csv", "links"}),
    ("runa batch list -o js", {"json", "jsonl"}),
    ("runa order create --mode ", {"auto", "sync", "async"}),
    ("runa order create --format ", {"json", "jsonl", "csv", "xlsx"}),
    ("runa order list --status ", {"COMPLETED", "FAILED", "PROCESSING"}),
    ("runa gift ", {"list", "get"}),
    ("runa report ", {"spend", "recipients"}),
    ("runa report spend --by m", {"month"}),
    ("runa gift list --status A", {"ACTIVE"}),
    ("runa order example ", {"csv", "json", "xlsx"}),
    ("runa order create --file g", {"gifts.csv", "gone.json"}),
    ("runa order create --results g", {"gifts.csv", "gone.json"}),
    ("runa order create --env-file g", {"gifts.csv", "gone.json"}),
    ("runa order create --description order --mode a", {"auto", "async"}),
    ("runa order create --metadata a=b --email fred@example.com --fa", {"--face-value"}),
    ("runa order create --email fred@example.com --em", {"--email"}),
    ("runa order create --face-value 10 --fa", set()),
    ("runa order create --env=local --env", {"--env-file"}),
    ("runa order create --output json --outp", set()),
    ("runa order create -o json --outp", set()),
    ("runa order create --wait --no-w", set()),
    ("runa order create --face-value ", set()),
    ("runa product get --json --orderable", set()),
]


def load() -> ModuleType:
    """Return the generator, which is no part of any package."""
    spec = importlib.util.spec_from_file_location("generate", COMPLETIONS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Place:
    """A directory with two files to complete, and with programs in PATH that record when they are started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "here"
        self.started = directory / "started"
        self.found = directory / "found"
        programs = directory / "bin"
        for made in (self.directory, programs):
            made.mkdir()
        for name in ("gifts.csv", "gone.json", "else.csv"):
            (self.directory / name).touch()
        for name in ("runa", "python", "python3", Path(shutil.which("python3") or "python3").resolve().name):
            (programs / name).write_text(f'#!/bin/sh\necho "$0" >> {shlex.quote(str(self.started))}\n')
            (programs / name).chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(directory), "ZDOTDIR": str(directory),
            "TERM": "xterm", "LC_ALL": "C.UTF-8", "FOUND": str(self.found),
        }  # fmt: skip

    def run(self, command: list[str], stdin: int | None = None, text: str | None = None, **env: str) -> str:
        """Run a shell and return its standard output."""
        ended = subprocess.run(
            command, stdin=stdin, input=text, capture_output=True, encoding="utf-8",
            cwd=self.directory, env={**self.environment, **env}, start_new_session=True, timeout=LONGEST, check=False,
        )  # fmt: skip
        return ended.stdout

    def offered(self, line: str) -> set[str]:
        """Return what a shell put in place of the last word, of a line that holds all completions."""
        found = self.found.read_text(encoding="utf-8")
        if found == line:
            return set()
        kept = len(line[: line.rindex(" ") + 1].split())
        return {word.removesuffix("=") for word in shlex.split(found)[kept:]}


def bash(place: Place, scripts: Path, line: str) -> set[str]:
    """Let readline itself insert all completions, and write down the line."""
    keys = f"{line}\x1b*\x0f"
    show = """bind -x '"\\C-o": printf %s "$READLINE_LINE" > "$FOUND"; exit'"""
    place.run(
        ["bash", "--noprofile", "--norc", "-i"],
        text=f"source {shlex.quote(str(scripts / 'runa.bash'))}\n{show}\n{keys}",
    )
    return place.offered(line)


def zsh(place: Place, scripts: Path, line: str) -> set[str]:
    """Insert all completions at the first prompt, and write down the line; its editor asks for a terminal."""
    (Path(place.environment["ZDOTDIR"]) / ".zshrc").write_text(
        "fpath=($SCRIPTS $fpath)\n"
        "autoload -Uz compinit && compinit -u -D\n"
        "zle -C every complete-word _generic\n"
        "zstyle ':completion:every:*' completer _all_matches _complete\n"
        "zstyle ':completion:every:*' insert yes\n"
        "zle-line-init() { BUFFER=$LINE CURSOR=$#LINE; zle -U $'\\C-o\\C-p' }\n"
        'show() { print -rn -- "$BUFFER" > $FOUND; exit }\n'
        "zle -N zle-line-init; zle -N show; bindkey '^O' every '^P' show\n"
    )
    ours, theirs = os.openpty()
    try:
        place.run(["zsh", "-d", "-i"], stdin=theirs, SCRIPTS=str(scripts), LINE=line)
    finally:
        os.close(ours)
        os.close(theirs)
    return place.offered(line)


def fish(place: Place, scripts: Path, line: str) -> set[str]:
    """Ask fish, which tells."""
    asked = f"source {shlex.quote(str(scripts / 'runa.fish'))}; complete -C {shlex.quote(line)}"
    return {told.split("\t")[0] for told in place.run(["fish", "--no-config", "-c", asked]).splitlines()}


Complete = Callable[[Place, Path, str], set[str]]
SHELLS = [
    pytest.param(
        complete,
        id=complete.__name__,
        marks=pytest.mark.skipif(shutil.which(complete.__name__) is None, reason=f"{complete.__name__} is missing"),
    )
    for complete in (bash, zsh, fish)
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Return the scripts of a program whose help texts are made to be misunderstood."""
    program = typer.Typer(rich_markup_mode="rich")
    text = HOSTILE.replace("[", r"\[")  # the one character that has a meaning in a help text
    program.callback(help=text)(lambda: None)

    @program.command(help=text)
    def first(
        kind: Annotated[str, typer.Argument(metavar="one|two", help=text)],
        value: Annotated[str, typer.Option("--value", metavar="A:[B]", help=text)] = "",
        flag: Annotated[bool, typer.Option("--flag", metavar="", help=text)] = False,
    ) -> None: ...

    @program.command(help=text)
    def second() -> None: ...

    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name, written in load().scripts(program).items():
        (scripts / name).write_text(written, encoding="utf-8")
    return scripts


@pytest.mark.parametrize("name", ["runa.bash", "_runa", "runa.fish"])
def test_a_script_is_what_the_generator_writes_of_the_program_as_it_is(name: str) -> None:
    assert load().scripts(app)[name] == (COMPLETIONS / name).read_text(encoding="utf-8"), (
        "python completions/generate.py"
    )


@pytest.mark.parametrize("complete", SHELLS)
@pytest.mark.parametrize(("line", "offered"), COMPLETED, ids=[line for line, _ in COMPLETED])
def test_a_shell_completes_without_starting_the_program_or_python(
    complete: Complete, line: str, offered: set[str], place: Place
) -> None:
    assert offered == complete(place, COMPLETIONS, line)
    assert not place.started.exists()


@pytest.mark.parametrize("complete", SHELLS)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("runa ", {"first", "second"}),
        ("runa first --", {"--value", "--flag", "--help"}),
        ("runa first ", {"one", "two"}),
        ("runa first --value ", set()),
    ],
)
def test_no_help_text_can_break_a_script(
    complete: Complete, line: str, offered: set[str], hostile: Path, place: Place
) -> None:
    assert offered == complete(place, hostile, line)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is missing")
@pytest.mark.parametrize(("line", "described"), [("runa ", 2), ("runa first --", 2), ("runa first ", 2)])
def test_fish_shows_a_help_text_as_it_is(line: str, described: int, hostile: Path, place: Place) -> None:
    asked = f"source {shlex.quote(str(hostile / 'runa.fish'))}; complete -C {shlex.quote(line)}"
    shown = place.run(["fish", "--no-config", "-c", asked])
    assert described == [told.partition("\t")[2] for told in shown.splitlines()].count(HOSTILE), shown


def test_what_is_started_would_be_noticed(place: Place) -> None:
    place.run(["sh", "-c", "runa; python; python3"])
    assert ["runa", "python", "python3"] == [Path(line).name for line in place.started.read_text().splitlines()]
