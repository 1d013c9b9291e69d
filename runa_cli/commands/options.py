"""Options that commands share, and how a command receives them."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from runa_cli.commands.help import write_help

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions, Session

Command = Callable[..., None]
Options = Mapping[str, tuple[Any, object]]  # annotation and default, by the parameter's name

NEVER_SUGGESTED = {"abandon", "prune", "reset"}
COMMON_PANEL = "Options of every command"

EnvOption = Annotated[
    str | None,
    typer.Option(
        "--env",
        metavar="live|playground|local",
        help="Where to send to (default: the key's; RUNA_ENV).",
        rich_help_panel=COMMON_PANEL,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile", metavar="NAME", help="Take the settings of a profile (RUNA_PROFILE).", rich_help_panel=COMMON_PANEL
    ),
]
EnvFileOption = Annotated[
    Path | None,
    typer.Option(
        "--env-file", metavar="PATH", help="A settings file in place of ./.env.", rich_help_panel=COMMON_PANEL
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FORMAT",
        help="table, json, jsonl, gifts, csv or links (default table; RUNA_OUTPUT).",
        rich_help_panel=COMMON_PANEL,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", metavar="", help="The same as -o json.", rich_help_panel=COMMON_PANEL)
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", metavar="", help="Print nothing but data and errors.", rich_help_panel=COMMON_PANEL),
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", metavar="", help="Log every request on standard error.", rich_help_panel=COMMON_PANEL
    ),
]
LogFormatOption = Annotated[
    str | None,
    typer.Option(
        "--log-format",
        metavar="text|json",
        help="Format of what -v logs (default text); with json, of notes and errors too.",
        rich_help_panel=COMMON_PANEL,
    ),
]
NoColorOption = Annotated[
    bool, typer.Option("--no-color", metavar="", help="No colours.", rich_help_panel=COMMON_PANEL)
]
TIMEOUT_HELP = "Wall-clock limit of an order, over all attempts (default 120; RUNA_TIMEOUT)."
TimeoutOption = Annotated[
    str | None,
    typer.Option("--timeout", metavar="SECONDS", help=TIMEOUT_HELP),
]

_COMMON: Options = {
    "env": (EnvOption, None),
    "profile": (ProfileOption, None),
    "env_file": (EnvFileOption, None),
    "output": (OutputOption, None),
    "json": (JsonOption, False),
    "quiet": (QuietOption, False),
    "verbose": (VerboseOption, False),
    "log_format": (LogFormatOption, None),
    "no_color": (NoColorOption, False),
    "context": (typer.Context, inspect.Parameter.empty),
}


class Group(TyperGroup):
    """A group of commands. The help of its commands is shown without pydantic, which takes long to load.

    Typer loads it to check a value that is None, and an option of its own that is not given is None.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of the group itself."""
        options = super().get_params(ctx)
        for option in options:
            if option.name in {"help", "install_completion", "show_completion"}:
                option.default = False
        return options

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command of the group, with the help of this program."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and not isinstance(command, Group):
            command.format_help = partial(write_help, command)  # type: ignore[method-assign]
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the group itself."""
        write_help(self, ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command. A typo gets suggestions, but none that deletes or gives up something for good.

        Who mistypes a command and then follows the suggestion must not lose anything.
        """
        suggested, self.suggest_commands = self.suggest_commands, False
        try:
            return super().resolve_command(ctx, args)
        except TyperException as error:
            from difflib import get_close_matches  # imported late: few commands are mistyped

            similar = get_close_matches(args[0], sorted({*self.commands} - NEVER_SUGGESTED)) if suggested else []
            if similar:
                names = " or ".join(f"`{ctx.command_path} {name}`" for name in similar)
                error.message = f"{error.message.rstrip('.')}. Did you mean {names}?"
            raise
        finally:
            self.suggest_commands = suggested


def with_common(command: Command) -> Command:
    """Add the options that every command takes; the command receives them as its argument `common`."""

    def common(*, context: typer.Context, **values: Any) -> "CommonOptions":
        from runa_cli.app.session import CommonOptions

        return CommonOptions(**values, clock=context.obj)

    return with_options("common", _COMMON, common, last=True)(command)


def with_options(
    name: str, options: Options, make: Callable[..., object], *, last: bool = False
) -> Callable[[Command], Command]:
    """Add shared options to a command; `make` turns them into the one argument `name` that the command receives.

    In the command's help they come before its own options, or after them with `last`.
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
        def wrapper(**values: Any) -> None:
            made = make(**{option: values.pop(option) for option in options})
            command(**values, **{name: made})

        wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # what Typer reads
        wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapper

    return decorate


def open_session(common: "CommonOptions", **flags: object) -> "Session":
    """Return the session of a command; `flags` are settings given as flags, by the names of their variables."""
    from runa_cli.app.session import Session

    return Session(common, flags)
