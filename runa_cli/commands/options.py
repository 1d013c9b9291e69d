"""Options that commands share, and what a command gets for them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from runa_cli.session import Session, Voice

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
    """What every command takes, as it was typed."""

    env: str | None
    env_file: Path | None
    output: str | None
    json: bool
    quiet: bool
    verbose: bool
    no_color: bool


_OPTIONS: dict[str, tuple[Any, object]] = {
    "env": (EnvOption, None),
    "env_file": (EnvFileOption, None),
    "output": (OutputOption, None),
    "json": (JsonOption, False),
    "quiet": (QuietOption, False),
    "verbose": (VerboseOption, False),
    "no_color": (NoColorOption, False),
}


def with_common(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that every command takes; it receives them as its argument `common`."""
    signature = inspect.signature(command)
    own = [parameter for name, parameter in signature.parameters.items() if name != "common"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]

    @wraps(command)
    def wrapper(**given: Any) -> None:
        common = Common(**{name: given.pop(name) for name in _OPTIONS})
        command(**given, common=common)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + shared
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # what Typer reads
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper


def voice(common: Common) -> "Voice":
    """Return how a command was asked to show things."""
    from runa_cli.session import Voice

    return Voice(common.output, common.json, common.quiet, common.verbose, common.no_color)


def session_of(common: Common, **flags: object) -> "Session":
    """Return the session of a command; `flags` are settings by their variables' names."""
    from runa_cli.session import Session

    return Session(voice(common), {"RUNA_ENV": common.env, **flags}, common.env_file)
