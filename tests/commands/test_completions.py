"""The completion scripts are what the program's commands and options make of them, and the shells agree with them."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
import typer

from runa_cli import cli
from tests.support.scripts import load_script

COMPLETIONS = Path(__file__).parents[2] / "completions"
GENERATOR = COMPLETIONS / "generate.py"
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
        self.kept = directory / ".cache/runa"
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(directory), "ZDOTDIR": str(directory),
            "TERM": "xterm", "LC_ALL": "C.UTF-8", "FOUND": str(self.found),
        }  # fmt: skip

    def keep(self, environment: str = "local", **names: list[str]) -> None:
        """Write files of names, as the program keeps them, for the environment that was used last."""
        self.kept.mkdir(parents=True, exist_ok=True)
        (self.kept / "names-environment").write_text(f"{environment}\n")
        for kind, lines in names.items():
            (self.kept / f"names-{kind}-{environment}").write_text(
                "".join(f"{line}\n" for line in lines), encoding="utf-8"
            )

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


def bash(place: Place, scripts: Path, line: str, key: str = "\x1b*") -> set[str]:
    """Let readline itself insert all completions, or what another key inserts, and write down the line."""
    keys = f"{line}{key}\x0f"
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
    for name, written in load_script(GENERATOR).scripts(program).items():
        (scripts / name).write_text(written, encoding="utf-8")
    return scripts


@pytest.mark.parametrize("name", ["runa.bash", "_runa", "runa.fish"])
def test_a_script_is_what_the_generator_writes_of_the_program_as_it_is(name: str) -> None:
    assert load_script(GENERATOR).scripts(cli.program())[name] == (COMPLETIONS / name).read_text(encoding="utf-8"), (
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


NAMED = [
    ("runa batch show ", {"november", "spring 2026"}),
    ("runa batch resume n", {"november"}),
    ("runa order create --batch n", {"november"}),
    ("runa order create --batch=n", {"--batch=november"}),
    ("runa gift list --batch n", {"november"}),
    ("runa batch list --after n", {"november"}),
    ("runa order create --product A", {"AMZ-US", "AMZ-GB"}),
    ("runa order create --product AMZ-US --product AMZ-G", {"AMZ-GB"}),
    ("runa product get B", {"BAW-GB"}),
    ("runa gift get n", set()),
]
BATCHES, PRODUCTS = ["november", "spring 2026"], ["AMZ-US\tAmazon.com", "AMZ-GB\tAmazon UK", "BAW-GB\tBloom & Wild"]


@pytest.mark.parametrize("complete", SHELLS)
@pytest.mark.parametrize(("line", "offered"), NAMED, ids=[line for line, _ in NAMED])
def test_a_shell_completes_names_that_the_program_keeps_without_starting_it(
    complete: Complete, line: str, offered: set[str], place: Place
) -> None:
    place.keep(batches=BATCHES, products=PRODUCTS)
    assert offered == complete(place, COMPLETIONS, line)
    assert not place.started.exists()


@pytest.mark.parametrize("complete", SHELLS)
@pytest.mark.parametrize("line", ["runa batch show ", "runa order create --product "])
def test_a_shell_completes_nothing_where_nothing_is_kept(complete: Complete, line: str, place: Place) -> None:
    assert set() == complete(place, COMPLETIONS, line)
    place.keep()
    assert set() == complete(place, COMPLETIONS, line)


@pytest.mark.parametrize("complete", SHELLS)
@pytest.mark.parametrize(
    ("line", "settings", "offered"),
    [
        ("runa batch show n", {}, "nearby"),
        ("runa batch show --env live n", {}, "november"),
        ("runa batch show --env=live n", {"RUNA_ENV": "local"}, "november"),
        ("runa batch show n", {"RUNA_ENV": "live", ".env": "RUNA_ENV=playground\n"}, "november"),
        ("runa batch show n", {"RUNA_API_KEY": "wgabc.secret"}, "november"),
        ("runa batch show n", {"RUNA_API_KEY": "XXabc.secret"}, "never"),
        ("runa batch show n", {".env": "# mine\nexport RUNA_ENV='live'\n"}, "november"),
        ("runa batch show n", {".env": 'RUNA_API_KEY="xxabc.secret"'}, "never"),
        ("runa batch show n", {"RUNA_ENV": "../../x"}, "nearby"),
    ],
)
def test_names_are_those_of_the_environment_that_is_meant(
    complete: Complete, line: str, settings: dict[str, str], offered: str, place: Place
) -> None:
    for name, batch in (("live", "november"), ("playground", "never"), ("local", "nearby")):
        place.keep(name, batches=[batch])
    (place.directory / ".env").write_text(settings.get(".env", ""))
    place.environment |= {name: value for name, value in settings.items() if name != ".env"}
    assert {offered} == complete(place, COMPLETIONS, line)


@pytest.mark.parametrize("complete", SHELLS)
def test_a_name_that_looks_like_a_command_is_only_a_name(complete: Complete, place: Place) -> None:
    """Whoever shares a ledger could choose it."""
    started = shlex.quote(str(place.started))
    names = [f"n$(touch {started})", f"n`touch {started}`", f"n;touch {started}", f"n'\"$(touch {started})", "n*"]
    place.keep(batches=names)
    assert {*names} == complete(place, COMPLETIONS, "runa batch show n")
    assert not place.started.exists()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is missing")
@pytest.mark.parametrize("quote", ["'", '"'])
def test_in_quotes_bash_offers_what_means_nothing_there(quote: str, place: Place) -> None:
    place.keep(batches=["spring 2026", "spring $(id)", "spring'"])
    bash(place, COMPLETIONS, f"runa batch show {quote}spring ", "\t")
    assert f"runa batch show {quote}spring 2026{quote}" == place.found.read_text(encoding="utf-8").rstrip()


@pytest.mark.parametrize("complete", SHELLS)
def test_names_are_found_where_the_caches_are(complete: Complete, place: Place, tmp_path: Path) -> None:
    place.keep(batches=["november"])
    place.kept.parent.rename(tmp_path / "caches")
    assert set() == complete(place, COMPLETIONS, "runa batch show n")
    place.environment["XDG_CACHE_HOME"] = str(tmp_path / "caches")
    assert {"november"} == complete(place, COMPLETIONS, "runa batch show n")
    del place.environment["XDG_CACHE_HOME"]
    (tmp_path / "Library").mkdir()
    (tmp_path / "caches").rename(tmp_path / "Library/Caches")
    assert {"november"} == complete(place, COMPLETIONS, "runa batch show n")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is missing")
def test_fish_shows_the_name_of_a_product(place: Place) -> None:
    place.keep(products=PRODUCTS)
    asked = f"source {shlex.quote(str(COMPLETIONS / 'runa.fish'))}; complete -C 'runa product get B'"
    assert "BAW-GB\tBloom & Wild\n" == place.run(["fish", "--no-config", "-c", asked])


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is missing")
@pytest.mark.parametrize(("line", "described"), [("runa ", 2), ("runa first --", 2), ("runa first ", 2)])
def test_fish_shows_a_help_text_as_it_is(line: str, described: int, hostile: Path, place: Place) -> None:
    asked = f"source {shlex.quote(str(hostile / 'runa.fish'))}; complete -C {shlex.quote(line)}"
    shown = place.run(["fish", "--no-config", "-c", asked])
    assert described == [told.partition("\t")[2] for told in shown.splitlines()].count(HOSTILE), shown


def test_what_is_started_would_be_noticed(place: Place) -> None:
    place.run(["sh", "-c", "runa; python; python3"])
    assert ["runa", "python", "python3"] == [Path(line).name for line in place.started.read_text().splitlines()]
