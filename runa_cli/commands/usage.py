"""Turns what Typer says of a command line that cannot be understood into a message of this program."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from typer.exceptions import TyperException

from runa_cli.core.errors import UsageMistake

# What overrides a safeguard is not suggested: who mistypes a flag and follows the suggestion must not lose anything.
_NEVER_SUGGESTED = {"--yes", "--again", "--no-lookup", "--no-preflight"}


def usage_mistake(error: TyperException, arguments: Sequence[str]) -> UsageMistake:
    """Return the error for a command line that Typer refused."""
    return UsageMistake(_message(error), _hint(error, arguments))


def _message(error: Any) -> str:
    parameter = getattr(error, "param", None)
    kind = type(error).__name__
    if kind == "MissingParameter" and parameter is not None:
        return f"{_name(parameter)} is missing."
    if kind == "BadParameter" and parameter is not None and (expected := _expected(parameter)):
        return f"{_name(parameter)} must be {expected}."
    if kind == "BadOptionUsage":
        return f"{error.option_name} {_needs(error.message)}."
    if kind == "NoSuchOption":
        return f"There is no option {error.option_name}.{_meant(error.possibilities)}"
    extra = "Got unexpected extra argument(s) ("
    if error.message.startswith(extra):
        return f"There is an argument too many: {error.message.removeprefix(extra).rstrip(')')}."
    text = error.format_message().strip()
    return str(text if text.endswith((".", "?", "!")) else f"{text}.")


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper()).strip("[]")
    return str(max(parameter.opts, key=len))


def _expected(parameter: Any) -> str | None:
    """Return what the value of a number must be; None for anything else."""
    if parameter.type_descriptor.annotation not in {int, int | None}:
        return None
    least, most = parameter.min, parameter.max
    if least is None:
        return "a whole number" + ("" if most is None else f" of at most {most}")
    return f"a whole number from {least} to {most}" if most is not None else f"a whole number of at least {least}"


def _needs(message: str) -> str:
    return "takes no value" if "does not take" in message else "needs a value"


def _meant(possibilities: Sequence[str] | None) -> str:
    meant = [name for name in possibilities or () if name not in _NEVER_SUGGESTED]
    return f" Did you mean {meant[0]}?" if meant else ""


def _hint(error: Any, arguments: Sequence[str]) -> str:
    if arguments and arguments[0].startswith("-"):
        return "Options come after the command, as in `runa ping --env local`; `runa --help` lists the commands."
    context = getattr(error, "ctx", None)
    words = takewhile(lambda word: not word.startswith("-"), arguments)
    return f"See `{context.command_path if context else ' '.join(['runa', *words])} --help`."
