"""The program's commands, options and arguments, as all that is generated from them needs them."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer
from rich.text import Text
from typer.core import TyperArgument, TyperGroup, TyperOption

from runa_cli.app import gift_list, order_list, report_spend
from runa_cli.commands.options import COMMON_PANEL
from runa_cli.config.values import FORMATS

# What a value is that is no fixed word.
FILES = "/"
BATCHES, PRODUCTS = "@batches", "@products"  # names in the files that runa_cli/app/completion_names.py keeps
KEPT = {(BATCHES,): "batches", (PRODUCTS,): "products"}  # what these files are called
MADE = "written by completions/generate.py"

_VALUES = {
    "--output": FORMATS,
    "order list --status": order_list.STATUSES,
    "gift list --status": gift_list.STATUSES,
    "report spend --by": tuple(report_spend.KINDS),
}  # of an option everywhere, or of one command's
_LEFT_OUT = {"--install-completion", "--show-completion"}  # they set up the kind that starts Python


@dataclass(frozen=True)
class Option:
    """An option under all its names; one without a metavar is a flag. `panel` is its heading in the help."""

    names: tuple[str, ...]
    help: str
    metavar: str
    values: tuple[str, ...]
    repeats: bool
    panel: str
    default: str

    @property
    def is_common(self) -> bool:
        """Whether every command takes it."""
        return self.panel == COMMON_PANEL


@dataclass(frozen=True)
class Argument:
    """An argument of a command."""

    metavar: str
    help: str
    values: tuple[str, ...]
    required: bool


@dataclass(frozen=True)
class Command:
    """A command, or a group of them, under the words that lead to it.

    `paragraphs` is its whole help but for the examples.
    """

    path: tuple[str, ...]
    help: str
    paragraphs: tuple[str, ...]
    examples: tuple[str, ...]
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    commands: tuple["Command", ...]


def read(program: typer.Typer) -> list[Command]:
    """Return the program's commands and groups, each before those in it; the first one is the program itself."""
    return list(_walk(_command(typer.main.get_command(program), ())))


def _walk(command: Command) -> Iterator[Command]:
    yield command
    for inner in command.commands:
        yield from _walk(inner)


def _command(command: Any, path: tuple[str, ...]) -> Command:
    """Read a command of Typer's, which keeps the type of commands to itself."""
    inner = command.commands if isinstance(command, TyperGroup) else {}
    parameters = command.get_params(typer.Context(command, help_option_names=["-h", "--help"]))
    options = [_option(one, path) for one in parameters if isinstance(one, TyperOption) and not one.hidden]
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return Command(
        path,
        plain(command.get_short_help_str(limit=200)),
        tuple(plain(paragraph) for paragraph in paragraphs if paragraph and not paragraph.startswith("$ ")),
        tuple(line[2:] for paragraph in paragraphs for line in paragraph.splitlines() if line.startswith("$ ")),
        tuple(one for one in options if not _LEFT_OUT & {*one.names}),
        tuple(_argument(one, path) for one in parameters if isinstance(one, TyperArgument) and not one.hidden),
        tuple(_command(one, (*path, name)) for name, one in inner.items() if not one.hidden),
    )


def _option(option: TyperOption, path: tuple[str, ...]) -> Option:
    names = (*sorted(option.opts, key=len, reverse=True), *option.secondary_opts)
    metavar = "" if option.is_flag else option.metavar or (option.name or "").upper()
    places = [*names, *(" ".join((*path, name)) for name in names)]
    values = next((_VALUES[place] for place in places if place in _VALUES), None)
    values = values or ((BATCHES,) if "--batch" in names else _values(metavar, path))
    panel = getattr(option, "rich_help_panel", None) or ""
    return Option(names, plain(option.help), metavar, values, option.multiple, panel, _default(option))


def _default(option: TyperOption) -> str:
    """Return the default of an option that its help shows, as text."""
    if isinstance(option.show_default, str):
        return option.show_default
    shown = option.show_default and not option.is_flag and not option.multiple and option.default is not None
    return str(option.default) if shown else ""


def _argument(argument: TyperArgument, path: tuple[str, ...]) -> Argument:
    metavar = (argument.metavar or (argument.name or "").upper()).strip("[]")
    return Argument(metavar, plain(argument.help), _values(metavar, path), argument.required)


def _values(metavar: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """Tell by the name of a value, which the help shows, what it can be."""
    if metavar in {"PATH", "FILE"}:
        return (FILES,)
    if metavar == "CODE":
        return (PRODUCTS,)
    if metavar == "NAME" and path[:1] == ("batch",):
        return (BATCHES,)
    return tuple(metavar.split("|")) if "|" in metavar else ()


def slashed(text: str, special: str) -> str:
    """Put a backslash before each special character, and before each backslash."""
    return "".join("\\" + char if char in special + "\\" else char for char in text)


def plain(text: str | None) -> str:
    """Return a help text on one line and without markup, as `--help` shows it."""
    return " ".join(Text.from_markup(text or "").plain.split())
