"""Write the completion scripts from the program's own commands and options: `python completions/generate.py`."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.text import Text
from typer.core import TyperArgument, TyperGroup, TyperOption

from runa_cli.app import gift_list, order_list
from runa_cli.cli import app
from runa_cli.config.values import FORMATS

FILES = "/"  # what a value is that names a file
VALUES = {
    "--output": FORMATS,
    "order list --status": order_list.STATUSES,
    "gift list --status": gift_list.STATUSES,
}  # of an option everywhere, or of one command's
LEFT_OUT = {"--install-completion", "--show-completion"}  # they set up the kind that starts Python
MADE = "written by completions/generate.py"


@dataclass(frozen=True)
class Option:
    """An option under all its names; one without a metavar is a flag."""

    names: tuple[str, ...]
    help: str
    metavar: str
    values: tuple[str, ...]
    repeats: bool


@dataclass(frozen=True)
class Argument:
    """An argument of a command."""

    metavar: str
    help: str
    values: tuple[str, ...]
    required: bool


@dataclass(frozen=True)
class Command:
    """A command, or a group of them, under the words that lead to it."""

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    commands: tuple["Command", ...]


def scripts(program: typer.Typer) -> dict[str, str]:
    """Return the text of each script by its file name."""
    tree = list(_walk(_read(typer.main.get_command(program), ())))
    return {"runa.bash": bash(tree), "_runa": zsh(tree), "runa.fish": fish(tree)}


def bash(tree: list[Command]) -> str:
    """Return the script for bash, which shows no help texts."""
    cases = "\n".join(
        f"        {shlex.quote(' '.join(command.path))})\n"
        f"            words='{_bash_words(command)}'\n"
        f"            options=' {' '.join(map(_bash_option, command.options))} ' ;;"
        for command in tree
    )
    return BASH.replace("@MADE@", MADE).replace("@CASES@", cases)


def _bash_words(command: Command) -> str:
    first = command.arguments[0].values if command.arguments else ()
    values = [inner.path[-1] for inner in command.commands] or first
    return "=" + ",".join(values) if values else ""


def _bash_option(option: Option) -> str:
    value = "=" + ",".join(option.values) if option.metavar else ""
    return ",".join(option.names) + ("+" if option.repeats else "") + value


def zsh(tree: list[Command]) -> str:
    """Return the script for zsh: a function for each command."""
    functions = "\n".join(_zsh_function(command) for command in tree)
    return ZSH.replace("@MADE@", MADE).replace("@FUNCTIONS@", functions)


def _zsh_function(command: Command) -> str:
    specs = [_zsh_option(name, option) for option in command.options for name in option.names]
    if not command.commands:
        specs += [_zsh_argument(*numbered) for numbered in enumerate(command.arguments, 1)]
        lines = ["_arguments -s -S \\", *_continued(specs)]
    else:
        specs += ["'1: :->command'", "'*:: :->rest'"]
        entries = [f"{inner.path[-1]}:{_slashed(inner.help, ':')}" for inner in command.commands]
        lines = [
            "local curcontext=$curcontext state ret=1",
            "local -a commands line",
            "local -A opt_args",
            "_arguments -C -s -S \\", *_continued(specs, " && ret=0"),
            "case $state in",
            "    command)",
            "        commands=(", *(f"            {shlex.quote(entry)}" for entry in entries), "        )",
            "        _describe -t commands command commands && ret=0 ;;",
            "    rest)",
            "        case $line[1] in",
            *(f"            {inner.path[-1]}) {_zsh_name(inner)} && ret=0 ;;" for inner in command.commands),
            "        esac ;;",
            "esac",
            "return ret",
        ]  # fmt: skip
    return "\n".join([f"{_zsh_name(command)}() {{", *("    " + line for line in lines), "}", ""])


def _zsh_name(command: Command) -> str:
    return "_".join(("_runa", *command.path))


def _continued(specs: list[str], end: str = "") -> list[str]:
    return [f"    {spec} \\" for spec in specs[:-1]] + [f"    {specs[-1]}{end}"]


def _zsh_option(name: str, option: Option) -> str:
    alone = "- *" if {"--help", "--version"} & {*option.names} else " ".join(option.names)
    value = ("=" if name.startswith("--") else "+") if option.metavar else ""
    what = f":{_slashed(option.metavar, ':')}:{_zsh_values(option.values)}" if option.metavar else ""
    return shlex.quote(f"{'*' if option.repeats else f'({alone})'}{name}{value}[{_slashed(option.help, '[]:')}]{what}")


def _zsh_argument(number: int, argument: Argument) -> str:
    what = _slashed(argument.help or argument.metavar, ":")
    return shlex.quote(f"{number}{':' if argument.required else '::'}{what}:{_zsh_values(argument.values)}")


def _zsh_values(values: tuple[str, ...]) -> str:
    return "_files" if values == (FILES,) else f"({' '.join(values)})" if values else ""


def fish(tree: list[Command]) -> str:
    """Return the script for fish: a line for each option of each command."""
    lines = [line for command in tree for line in _fish_lines(command)]
    return FISH.replace("@MADE@", MADE) + "\n".join(lines) + "\n"


def _fish_lines(command: Command) -> Iterator[str]:
    here = " ".join(("__runa_is" if command.commands else "__runa_in", *command.path))
    for inner in command.commands:
        yield f"complete -c runa -n {_fish_quoted(here)} -a {inner.path[-1]} -d {_fish_quoted(inner.help)}"
    for argument in command.arguments:
        if argument.values:
            about = f" -d {_fish_quoted(argument.help)}" if argument.help else ""
            yield f"complete -c runa -n {_fish_quoted(here)}{_fish_values(argument.values)}{about}"
    for option in command.options:
        once = "" if option.repeats else f"; and __runa_new {'= ' if option.metavar else ''}{' '.join(option.names)}"
        value = f" -r{_fish_values(option.values)}" if option.metavar else ""
        for name in option.names:
            flag = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            yield f"complete -c runa -n {_fish_quoted(here + once)} {flag}{value} -d {_fish_quoted(option.help)}"


def _fish_values(values: tuple[str, ...]) -> str:
    return " -F" if values == (FILES,) else f" -f -a {_fish_quoted(' '.join(values))}" if values else " -f"


def _fish_quoted(text: str) -> str:
    return "'" + _slashed(text, "'") + "'"


def _slashed(text: str, special: str) -> str:
    """Put a backslash before each special character, and before each backslash."""
    return "".join("\\" + char if char in special + "\\" else char for char in text)


def _read(command: Any, path: tuple[str, ...]) -> Command:
    """Read a command of Typer's, which keeps the type of commands to itself."""
    inner = command.commands if isinstance(command, TyperGroup) else {}
    parameters = command.get_params(typer.Context(command))
    options = [_option(one, path) for one in parameters if isinstance(one, TyperOption) and not one.hidden]
    return Command(
        path,
        _plain(command.get_short_help_str(limit=200)),
        tuple(one for one in options if not LEFT_OUT & {*one.names}),
        tuple(_argument(one) for one in parameters if isinstance(one, TyperArgument) and not one.hidden),
        tuple(_read(one, (*path, name)) for name, one in inner.items() if not one.hidden),
    )


def _option(option: TyperOption, path: tuple[str, ...]) -> Option:
    names = (*option.opts, *option.secondary_opts)
    metavar = "" if option.is_flag else option.metavar or (option.name or "").upper()
    places = [*names, *(" ".join((*path, name)) for name in names)]
    values = next((VALUES[place] for place in places if place in VALUES), _values(metavar))
    return Option(names, _plain(option.help), metavar, values, option.multiple)


def _argument(argument: TyperArgument) -> Argument:
    metavar = (argument.metavar or (argument.name or "").upper()).strip("[]")
    return Argument(metavar, _plain(argument.help), _values(metavar), argument.required)


def _values(metavar: str) -> tuple[str, ...]:
    if metavar in {"PATH", "FILE"}:
        return (FILES,)
    return tuple(metavar.split("|")) if "|" in metavar else ()


def _plain(text: str | None) -> str:
    """Return a help text on one line and without markup, as `--help` shows it."""
    return " ".join(Text.from_markup(text or "").plain.split())


def _walk(command: Command) -> Iterator[Command]:
    yield command
    for inner in command.commands:
        yield from _walk(inner)


BASH = r"""# Completes runa in bash without starting it; @MADE@.

# Tell what follows a command. words: what is no option, as =a,b. options: NAMES for a flag, NAMES= with a value,
# NAMES=a,b with one of these, NAMES=/ with a file; NAMES+ may be repeated.
_runa_follows() {
    case $1 in
@CASES@
        *) words='' ;;
    esac
}

_runa() {
    local IFS=$' \n' current=${COMP_WORDS[COMP_CWORD]} command='' words options awaited='' word option names i
    _runa_follows ''
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == [=:]* ]]; then # bash takes --env=live for three words, and a:b too
            [[ $awaited ]] || ((i++))
        elif [[ $awaited ]]; then
            awaited=''
        elif [[ $word == -- ]]; then
            options=' '
        elif [[ $word == -?* ]]; then
            for option in $options; do
                names=${option%%=*}
                if [[ ,${names%+}, == *,"$word",* ]]; then
                    [[ $option == *=* ]] && awaited="=${option#*=}"
                    [[ $names == *+ ]] || options=${options/" $option "/ }
                fi
            done
        else
            command+="${command:+ }$word"
            _runa_follows "$command"
        fi
    done
    ((i > COMP_CWORD)) && return
    if [[ $current == [=:]* ]]; then
        [[ $awaited ]] || return
        current=''
    fi
    names=''
    if [[ $awaited || ($words && $current != -*) ]]; then
        names=${awaited:-$words}
    else
        for option in $options; do
            option=${option%%=*}
            names+=,${option%+}
        done
    fi
    if [[ $names == =/ ]]; then
        # shellcheck disable=SC2207
        compopt -o default 2>/dev/null || IFS=$'\n' COMPREPLY=($(compgen -f -- "$current"))
    else
        # shellcheck disable=SC2207
        COMPREPLY=($(compgen -W "${names//[=,]/ }" -- "$current"))
    fi
}

complete -F _runa runa
"""

ZSH = r"""#compdef runa
# Completes runa in zsh without starting it; @MADE@.

@FUNCTIONS@
if [[ $funcstack[1] == _runa ]]; then
    _runa "$@"
else # sourced, not loaded from fpath
    compdef _runa runa
fi
"""

FISH = r"""# Completes runa in fish without starting it; @MADE@.

function __runa_is -d 'Tell whether nothing but this command is typed'
    set -l words (commandline -opc | string match --invert -- '-*')
    test "$words[2..]" = "$argv"
end

function __runa_in -d 'Tell whether this command is typed, and maybe more'
    set -l words (commandline -opc | string match --invert -- '-*')
    set -l last (math (count $argv) + 1)
    test "$words[2..$last]" = "$argv"
end

function __runa_new -d 'Tell whether none of these options is typed; after a =, or one awaits its value'
    set -l words (commandline -opc)
    if test "$argv[1]" = =
        set --erase argv[1]
        contains -- "$words[-1]" $argv; and return 0
    end
    for name in $argv
        string match --quiet --regex -- "^$name(=|\$)" $words; and return 1
    end
    return 0
end

complete -c runa -f
"""


if __name__ == "__main__":
    for name, text in scripts(app).items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")
