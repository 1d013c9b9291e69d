"""Options that commands share, and what a command gets for them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from runa_cli.app.session import Session
    from runa_cli.core.clock import Clock


Command = Callable[..., None]
Options = Mapping[str, tuple[Any, object]]  # annotation and default by the parameter's name

COMMON_PANEL = "Options of every command"

EnvOption = Annotated[
    str | None,
    typer.Option("--env", metavar="live|playground|local", help="Where to send to.", rich_help_panel=COMMON_PANEL),
]
EnvFileOption = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="PATH", help="Settings file instead of ./.env.", rich_help_panel=COMMON_PANEL),
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FORMAT", help="table, json, jsonl, csv or links.", rich_help_panel=COMMON_PANEL
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", metavar="", help="The same as -o json.", rich_help_panel=COMMON_PANEL)
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", metavar="", help="Say nothing but errors and data.", rich_help_panel=COMMON_PANEL),
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", metavar="", help="Log every request on standard error.", rich_help_panel=COMMON_PANEL
    ),
]
NoColorOption = Annotated[
    bool, typer.Option("--no-color", metavar="", help="No colours.", rich_help_panel=COMMON_PANEL)
]
TimeoutOption = Annotated[
    str | None,
    typer.Option("--timeout", metavar="SECONDS", help="Wall-clock limit of an order, over all attempts (120)."),
]


@dataclass(frozen=True)
class Common:
    """What every command takes, as it was typed; and the clock it goes by, where that is not the real one."""

    env: str | None
    env_file: Path | None
    output: str | None
    json: bool
    quiet: bool
    verbose: bool
    no_color: bool
    clock: "Clock | None"


_COMMON: Options = {
    "env": (EnvOption, None),
    "env_file": (EnvFileOption, None),
    "output": (OutputOption, None),
    "json": (JsonOption, False),
    "quiet": (QuietOption, False),
    "verbose": (VerboseOption, False),
    "no_color": (NoColorOption, False),
    "context": (typer.Context, inspect.Parameter.empty),
}


def with_common(command: Command) -> Command:
    """Give a command the options that every command takes; it receives them as its argument `common`."""

    def common(*, context: typer.Context, **given: Any) -> Common:
        return Common(**given, clock=context.obj)

    return gathering("common", _COMMON, common, last=True)(command)


def gathering(
    name: str, options: Options, make: Callable[..., object], *, last: bool = False
) -> Callable[[Command], Command]:
    """Let a command take options that others take too: what `make` makes of them is its argument `name`.

    In its help they stand before its own, or last.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        shared = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for option, (annotation, default) in options.items()
        ]
        own = [parameter for parameter in signature.parameters.values() if parameter.name != name]
        parameters = own + shared if last else shared + own

        @wraps(command)
        def wrapper(**given: Any) -> None:
            made = make(**{option: given.pop(option) for option in options})
            command(**given, **{name: made})

        wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # what Typer reads
        wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapper

    return decorate


def session_of(common: Common, **flags: object) -> "Session":
    """Return the session of a command; `flags` are settings by their variables' names."""
    from runa_cli.app.session import Session, Voice
    from runa_cli.core.clock import REAL

    voice = Voice(common.output, common.json, common.quiet, common.verbose, common.no_color)
    return Session(voice, {"RUNA_ENV": common.env, **flags}, common.env_file, common.clock or REAL)
