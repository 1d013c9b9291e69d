"""The help of every command: its purpose, examples to copy, and its options in the order in which people need them.

Typer's own help breaks words on a narrow terminal, and loads a library that takes longer than the help itself.
"""

import inspect
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from runa_cli.core.errors import OutputFailed

WIDEST = 100  # columns; longer lines are hard to read
_NARROW = 60  # columns, below which an option and its help get lines of their own
_INDENT = 2
_MOST_BESIDE = 30  # columns of an option with its help beside it; a longer one gets a line of its own
_OPTIONS = "Options"
_WORD = re.compile(r"(?:'[^']*'|\"[^\"]*\"|\S)+")


class Parts(Struct, frozen=True):
    """What a docstring says: one sentence of purpose, paragraphs, and command lines that were written after a `$ `."""

    purpose: str
    text: tuple[str, ...]
    examples: tuple[str, ...]


def parts_of(help_text: str | None) -> Parts:
    """Return the parts of a command's help text."""
    paragraphs = inspect.cleandoc(help_text or "").replace("\\[", "[").split("\n\n")
    lines = [line for paragraph in paragraphs for line in paragraph.splitlines()]
    text = [" ".join(paragraph.split()) for paragraph in paragraphs if not paragraph.startswith("$ ")]
    return Parts(text[0], tuple(text[1:]), tuple(line[2:] for line in lines if line.startswith("$ ")))


def write_help(command: Any, context: Any, formatter: Any) -> None:
    """Write the help of a command, in place of Typer's. Raises OutputFailed where nobody could read it."""
    if sys.stdout is None or sys.stdout.closed:
        raise OutputFailed("The help could not be written: standard output is closed.")
    width = min(shutil.get_terminal_size().columns, WIDEST)
    formatter.write("\n".join(_help(command, context, max(width, 20))) + "\n")


def _help(command: Any, context: Any, width: int) -> Iterator[str]:
    """Yield the lines of the help."""
    parts = parts_of(command.help)
    pieces = " ".join(command.collect_usage_pieces(context)).replace("[[", "[").replace("]]", "]")
    usage = f"Usage: {context.command_path} {pieces.replace('{', '').replace('}', '')}"
    yield from _wrapped(usage, width, indent=0, hanging=len("Usage: "))
    for paragraph in (parts.purpose, *parts.text):
        yield from ("", *_wrapped(paragraph, width, indent=0))
    if parts.examples:
        yield from ("", _heading("Examples" if len(parts.examples) > 1 else "Example"))
        for example in parts.examples:
            yield from _command_line(example, width)
    for title, rows in _panels(command, context).items():
        yield from ("", _heading(title), *_table(rows, width))


Rows = list[tuple[str, str]]


def _panels(command: Any, context: Any) -> dict[str, Rows]:
    """Return the rows of each panel: arguments, the commands of a group, options, those of every command."""
    arguments: Rows = []
    panels: dict[str, Rows] = {}
    options: Rows = []
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "argument":
            arguments.append((parameter.metavar or parameter.name.upper(), _described(parameter)))
        elif parameter.rich_help_panel is None:
            options.append((_flags(parameter), _described(parameter)))
        else:
            panels.setdefault(parameter.rich_help_panel, []).append((_flags(parameter), _described(parameter)))
    own = [row for row in options if "--help" not in row[0]]
    last = [*panels][-1:] if panels else [_OPTIONS]  # that of every command, if it has one
    panels.setdefault(last[0], []).extend(row for row in options if "--help" in row[0])
    found = {"Arguments": arguments, "Commands": _commands(command, context)}
    if own and _OPTIONS not in panels:
        found[_OPTIONS] = own
    elif own:
        panels[_OPTIONS] = own + panels[_OPTIONS]
    return {title: rows for title, rows in {**found, **panels}.items() if rows}


def _commands(command: Any, context: Any) -> Rows:
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    inner = [command.get_command(context, name) for name in names]
    return [(one.name, parts_of(one.short_help or one.help).purpose) for one in inner if not one.hidden]


def _flags(option: Any) -> str:
    """Return an option with all its names, and what its value is."""
    names = sorted(option.opts, key=len)
    text = ", ".join(names) + "".join(f"/{name}" for name in option.secondary_opts)
    metavar = "" if option.is_flag else option.metavar or option.name.upper()
    return f"{text} {metavar}".strip()


def _described(parameter: Any) -> str:
    """Return the help of a parameter, with its default."""
    text = " ".join((parameter.help or "").replace("\\[", "[").split())
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    is_shown = parameter.show_default and isinstance(default, str | int) and not isinstance(default, bool)
    more = "required" if parameter.required else f"default {default}" if is_shown and default != "" else ""
    return f"{text.rstrip('.')} ({more})." if more else text


def _table(rows: Rows, width: int) -> Iterator[str]:
    """Yield a line for each row, its help beside it; where that does not fit, below it."""
    fitting = [len(name) for name, _ in rows if len(name) <= _MOST_BESIDE]
    column = _INDENT + max(fitting, default=0) + 2
    for name, text in rows:
        shown = " " * _INDENT + _styled(name, "36")
        if width < _NARROW or len(name) > _MOST_BESIDE:
            indent = _INDENT * 3 if width < _NARROW else column
            yield from (shown, *_wrapped(text, width, indent=indent))
            continue
        first, *rest = _wrapped(text, width, indent=column) or [""]
        yield shown + " " * (column - _INDENT - len(name)) + first.lstrip()
        yield from rest


def _wrapped(text: str, width: int, *, indent: int, hanging: int = 0) -> list[str]:
    """Return text in lines of whole words."""
    before = " " * indent
    return textwrap.wrap(
        text,
        width,
        initial_indent=before,
        subsequent_indent=before + " " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _command_line(command: str, width: int) -> Iterator[str]:
    """Yield a command line that can be copied: where it is too long, it goes on after a backslash."""
    line = " " * _INDENT + "$"
    for word in _WORD.findall(command):
        if len(line) + len(word) + 3 > width and not line.endswith("$"):
            yield f"{line} \\"
            line = " " * (_INDENT * 2 - 1)
        line += f" {word}"
    yield line


def _heading(title: str) -> str:
    return _styled(title, "1")


def _styled(text: str, code: str) -> str:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"
