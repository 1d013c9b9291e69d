"""Writes the man page, in mdoc(7), from the commands, the example of a settings file and the errors of the program."""

import re
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from command_tree import Argument, Command, Option

from runa_cli import __doc__ as about
from runa_cli.core import errors
from runa_cli.core.errors import RunaError

DATE = "November 30, 2026"  # of the release
WIDTH = 78
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.) (?=[A-Z`\[])")
_QUOTED = re.compile(r"`([^`]+)`")

# What the page shows to begin with; tests/commands/test_man_page.py runs them in this order.
EXAMPLES = (
    ("Issue one gift at the local emulator, which needs no key and no money:",
     "runa order create --env local --face-value 10 --email fred@example.com --product AMZ-US"),
    ("Write a list to start from:", "runa order example csv --env local > gifts.csv"),
    ("See what a list would issue, without sending anything:",
     "runa order create --env local --file gifts.csv --batch november --dry-run"),
    ("Issue it once, however often this is run:",
     "runa order create --env local --file gifts.csv --batch november --results results.csv"),
    ("Finish a batch that was interrupted, and show its links again:", "runa batch resume --env local november"),
)  # fmt: skip
FILES = (
    ("./.env", "Settings of the working directory."),
    ("~/.local/share/runa/ledger.db", "The ledger, unless RUNA_LEDGER names another one: every order with its links."),
    ("~/.local/share/runa/emulator.db", "The orders and balances of the emulator."),
    ("~/.local/state/runa", "How far each ledger has got, to notice when an older copy takes its place."),
    ("~/.cache/runa", "The catalogue, and the names that completion scripts offer."),
)


def man_page(tree: list[Command], project: Path) -> str:
    """Return the page for the commands; `project` is the directory with the example of a settings file."""
    lines = [
        '.\\" Written by completions/generate.py.',
        f".Dd {DATE}",
        ".Dt RUNA 1",
        ".Os",
        ".Sh NAME",
        ".Nm runa",
        f".Nd {_escaped(_name_line())}",
        ".Sh SYNOPSIS",
        *(line for command in _leaves(tree) for line in (".Nm", *_synopsis(command))),
        ".Sh DESCRIPTION",
        *_text(_DESCRIPTION),
        ".Sh COMMANDS",
        *(line for command in tree[1:] for line in _command(command)),
        ".Sh OPTIONS OF EVERY COMMAND",
        *_text("They come after the command."),
        *_options(_common(tree)),
        ".Sh ENVIRONMENT",
        *_text("Options take precedence over the environment, that over the file ./.env, and that over a profile."),
        *_list(_settings(project)),
        ".Sh FILES",
        *_text("On macOS they are in directories of ~/Library."),
        *_list((f".Pa {_escaped(path)}", text) for path, text in FILES),
        ".Sh EXIT STATUS",
        *_list((f".Er {code}", text) for code, text in _exit_codes()),
        ".Sh EXAMPLES",
        *(line for said, command in EXAMPLES for line in _example(said, command)),
        ".Sh SEE ALSO",
        ".Lk https://developer.runa.io The documentation of the Runa Payouts API",
    ]
    # A paragraph mark before a heading, a list or another mark does nothing, and the linter says so.
    around = zip(["", *lines], lines, [*lines[1:], ""], strict=False)
    kept = [line for before, line, after in around if not _is_idle(before, line, after)]
    return "\n".join(kept) + "\n"


_DESCRIPTION = """
The program sends gift cards through the Runa Payouts API from a terminal, a pipe or cron. Every order is recorded in a
ledger on this machine, or in a database that several machines share, before it is sent. Whatever breaks in between, the
same command may be run again: no recipient is paid twice, and every link can be shown again. Every answer says whether
money moved, in words, in JSON and in the exit status.
"""


def _name_line() -> str:
    """Return what the program is for, as the line of the name has it: without a full stop."""
    first = (about or "").strip().splitlines()[0].rstrip(".")
    return first[0].lower() + first[1:]


def _is_idle(before: str, line: str, after: str) -> bool:
    return line == ".Pp" and (
        before.startswith((".Sh", ".Ss")) or after.startswith((".Sh", ".Ss", ".Pp", ".Bl", ".Bd"))
    )


def _leaves(tree: list[Command]) -> list[Command]:
    return [command for command in tree if not command.commands]


def _synopsis(command: Command) -> Iterator[str]:
    """Yield a command with its arguments; what it takes beside them is in its own section."""
    arguments = " ".join(_argument(argument) for argument in command.arguments)
    yield f".Cm {' '.join(command.path)}" + (f" {arguments}" if arguments else "")
    if any(not option.is_common for option in command.options):
        yield ".Op Ar options"


def _argument(argument: Argument) -> str:
    return f"Ar {_escaped(argument.metavar)}" if argument.required else f"Op Ar {_escaped(argument.metavar)}"


def _command(command: Command) -> Iterator[str]:
    if command.commands:
        return
    yield f".Ss runa {' '.join(command.path)}"
    for number, paragraph in enumerate(command.paragraphs):
        if number:
            yield ".Pp"
        yield from _text(paragraph)
    yield from (f".Dl {_escaped(example)}" for example in command.examples)
    if described := [argument for argument in command.arguments if argument.help]:
        yield from _list((f".Ar {_escaped(argument.metavar)}", argument.help) for argument in described)
    own = [option for option in command.options if not option.is_common and option.names[0] != "--help"]
    for panel, options in groupby(own, key=lambda option: option.panel):
        if panel:
            yield ".Pp"
            yield from _text(f"{panel}:")
        yield from _options(options)


def _common(tree: list[Command]) -> list[Option]:
    """Return the options that every command takes, and those of the program itself."""
    every = {option.names: option for command in _leaves(tree) for option in command.options if option.is_common}
    own = {option.names: option for option in tree[0].options}
    return [*every.values(), *own.values()]


def _options(options: Iterator[Option] | list[Option]) -> Iterator[str]:
    yield from _list((_option_head(option), _option_text(option)) for option in options)


def _option_head(option: Option) -> str:
    flags = " , ".join(f"Fl {_escaped(name[1:])}" for name in option.names)
    return f".{flags}" + (f" Ar {_escaped(option.metavar)}" if option.metavar else "")


def _option_text(option: Option) -> str:
    default = f" The default is {option.default}." if option.default else ""
    return option.help + default


def _settings(project: Path) -> Iterator[tuple[str, str]]:
    """Yield the settings, those together that the example of a settings file explains together, with what it says."""
    yield (
        ".Ev RUNA_API_KEY_COMMAND",
        "A command that prints the key, such as that of a password manager. Not in a settings file, but in a profile.",
    )
    text = (project / ".env.example").read_text(encoding="utf-8")
    for paragraph in text.split("\n\n"):
        lines = paragraph.splitlines()
        names = [found[1] for line in lines if (found := re.match(r"#?([A-Z][A-Z0-9_]*)=", line))]
        said = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("# "))
        if names:
            yield f".Ev {' , Ev '.join(names)}", said


def _exit_codes() -> Iterator[tuple[int, str]]:
    """Yield each exit code with what the errors that have it are for."""
    yield 0, "Done."
    found: dict[int, list[str]] = {}
    for kind in _kinds(RunaError):
        # A class that only tells more of its parent's errors has the parent's exit code and needs no words here.
        parent = kind.__mro__[1]
        if kind is RunaError or getattr(parent, "exit_code", None) != kind.exit_code or parent is RunaError:
            sentences = _SENTENCE_END.split(" ".join((kind.__doc__ or "").split()))
            told = (one for one in sentences if not one.startswith(("`details`", "The code")))  # are for programs
            found.setdefault(kind.exit_code, []).append(" ".join(told))
    found[RunaError.exit_code] = ["A defect of the program; the message says what became of the money."]
    for code in sorted(found):
        yield code, " ".join(found[code])


def _kinds(kind: type[RunaError]) -> Iterator[type[RunaError]]:
    own = (each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, RunaError))
    return (each for each in own if issubclass(each, kind))


def _example(said: str, command: str) -> Iterator[str]:
    yield ".Pp"
    yield from _text(said)
    yield ".Bd -literal -offset indent"
    lines: list[str] = []
    for number, word in enumerate(command.split(" --")):  # no line of an example is longer than a terminal's
        part = word if not number else f"--{word}"
        if lines and len(lines[-1]) + len(part) < WIDTH - 10:
            lines[-1] += f" {part}"
        else:
            lines.append(part)
    yield from (_escaped(line) + (" \\e" if number < len(lines) - 1 else "") for number, line in enumerate(lines))
    yield ".Ed"


def _list(entries: Iterator[tuple[str, str]]) -> Iterator[str]:
    """Yield a list of heads, which are macros already, and their texts."""
    yield ".Bl -tag -width Ds"
    for head, text in entries:
        yield f".It {head.removeprefix('.')}"
        yield from _text(text)
    yield ".El"


def _text(text: str) -> Iterator[str]:
    """Yield a text with each sentence on lines of its own, as roff wants it, none of them too long."""
    for sentence in _SENTENCE_END.split(" ".join(text.split())):
        # Wrapped once it is escaped, as a line grows by that; hyphens would not be found again.
        for line in textwrap.wrap(_printed(sentence), WIDTH, break_long_words=False, break_on_hyphens=False):
            yield _begun(line)


def _escaped(text: str) -> str:
    """Return text that roff prints as it is, also at the start of a line."""
    return _begun(_printed(text))


def _printed(text: str) -> str:
    """Return text that roff prints as it is, with hyphens that can be copied."""
    # A page is read on terminals without it too.
    escaped = text.replace("…", "...").replace("\\", "\\e").replace("-", "\\-")
    return "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in escaped)


def _begun(line: str) -> str:
    """Return a line of text whose start is no request."""
    return f"\\&{line}" if line.startswith((".", "'")) else line
