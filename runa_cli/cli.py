"""The program: assembles the commands, and is the one place where errors become text and exit codes."""

import errno
import itertools
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer
from typer.exceptions import TyperException

from runa_cli import __version__
from runa_cli.commands.options import Group
from runa_cli.core.errors import Interrupted, Money, OutputFailed, RunaError, UsageMistake

if TYPE_CHECKING:
    from runa_cli.core.clock import Clock

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # of a help text or a version
_ORDER = ("order", "batch", "gift", "product", "balance", "ping", "config")  # the others follow


class _Root(Group):
    """The program itself, with its commands in the order in which people need them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"runa {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Send gift cards through the Runa Payouts API: never twice, never lost.

    Try it without a key or money: `--env local` sends to an emulator on this machine.

    $ runa order create --face-value 10 --email you@example.com --product AMZ-US --env local
    $ runa order example csv > gifts.csv
    $ runa order create --file gifts.csv --batch welcome --env local

    `runa COMMAND --help` has examples of each command.
    """


# Groups of commands, by the names of their modules in `runa_cli/commands/`.
_GROUPS = ("order", "batch", "gift", "product", "policy", "ledger", "report", "emulator")


def program(group: str | None = None) -> typer.Typer:
    """Return the program; of the name of a group of commands, as much of it as that group needs.

    A command would else wait until those of all groups are loaded and built. Help and suggestions need them all.
    """
    app = typer.Typer(
        cls=_Root,
        name="runa",
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback()(root)
    for name in [group] if group in _GROUPS else _GROUPS:
        app.add_typer(import_module(f"runa_cli.commands.{name}").app, name=name)
    if group not in _GROUPS:
        from runa_cli.commands import account, audit

        for command in (account.balance, account.ping, account.config, audit.audit):
            app.command()(command)
    return app


def main(clock: "Clock | None" = None) -> NoReturn:
    """Run the program and exit with its code; `clock` replaces the real one in tests."""
    _open_standard_streams()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)
    code = run(sys.argv[1:], clock)
    if code == Interrupted.exit_code:
        # Threads of orders in flight may still run, and one of them may be stuck in a write. The interpreter would
        # wait for it on a normal exit; everything to be shown has been written already.
        os._exit(code)
    sys.exit(_flushed(code))


def run(arguments: Sequence[str], clock: "Clock | None" = None) -> int:
    """Run one command and return its exit code, which says what became of the money."""
    command = typer.main.get_command(program(*arguments[:1]))
    try:
        _check_text(arguments)
        result = command.main(args=list(arguments), prog_name="runa", standalone_mode=False, obj=clock)
        if result == Interrupted.exit_code:  # what Typer returns for Ctrl-C outside of a batch
            return _report(_interrupted(arguments), arguments)
        return result if isinstance(result, int) else 0
    except RunaError as error:
        return _report(error, arguments)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            return _show_help(error.message, arguments)
        from runa_cli.commands.usage import usage_mistake

        return _report(usage_mistake(error, arguments), arguments)
    except (KeyboardInterrupt, typer.Abort):
        return _report(_interrupted(arguments), arguments)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            return 0  # whoever reads the help has read enough
        if error.errno not in _UNWRITABLE:
            return _report(_defect(error), arguments)
        return _report(_unwritten(error), arguments)
    except Exception as error:  # noqa: BLE001 - the last boundary: a defect is reported without a traceback
        return _report(_defect(error), arguments)


def _show_help(text: str, arguments: Sequence[str]) -> int:
    """Show the help of a group of commands of which none was named."""
    try:
        typer.echo(text)
    except OSError as error:
        return _report(_unwritten(error), arguments)
    return UsageMistake.exit_code


def _unwritten(error: OSError) -> OutputFailed:
    return OutputFailed(f"The output could not be written: {error.strerror}.")


def _check_text(arguments: Sequence[str]) -> None:
    for number, argument in enumerate(arguments, 1):
        if any("\ud800" <= char <= "\udfff" for char in argument):
            raise UsageMistake(f"Argument {number} is not text in this locale's encoding.")


def _flushed(code: int) -> int:
    """Flush the standard streams here, so that a failure is handled and does not surface when the interpreter exits.

    It would replace the code, which says what became of the money. Messages that cannot be written are dropped.
    """
    if error := _flush(sys.stdout):
        code = code if isinstance(error, BrokenPipeError) else code or _report(_unwritten(error), sys.argv[1:])
    _flush(sys.stderr)
    return code


def _flush(stream: TextIO | None) -> OSError | None:
    """Flush a standard stream, or return why that is not possible and drop what is left in it."""
    try:
        if stream is not None:
            stream.flush()
    except OSError as error:
        from runa_cli.output.stdout import discard

        discard(stream)
        return error
    return None


def _report(error: RunaError, arguments: Sequence[str]) -> int:
    from runa_cli.output.console import Console
    from runa_cli.output.stdout import BrokenOutput

    if isinstance(error, BrokenOutput):
        return 0
    Console(as_json=_wants_json(arguments), no_color="--no-color" in arguments).error(error)
    return error.exit_code


def _wants_json(arguments: Sequence[str]) -> bool:
    """Tell whether errors go out as JSON, even those that keep the flags from being read."""
    from runa_cli.config.values import JSON_FORMATS

    if {"-v", "--verbose"} & {*arguments} and "json" in _given(arguments, "--log-format"):
        return True
    formats = _given(arguments, "--output", "-o")
    formats += [word[2:].removeprefix("=") for word in arguments if word.startswith("-o") and len(word) > 2]
    if "--json" in arguments:
        return True
    return (formats[-1] if formats else os.environ.get("RUNA_OUTPUT", "")) in JSON_FORMATS


def _given(arguments: Sequence[str], *names: str) -> list[str]:
    """Return the values of an option, written after it or, after its first name, with `=`."""
    after = [value for name, value in itertools.pairwise(arguments) if name in names]
    return after + [word.partition("=")[2] for word in arguments if word.startswith(f"{names[0]}=")]


def _interrupted(arguments: Sequence[str]) -> RunaError:
    if tuple(arguments[:2]) not in {("order", "create"), ("batch", "resume")}:
        return Interrupted("Interrupted.")
    return Interrupted(
        "Interrupted.",
        "What was recorded is saved: run the same command again to resume.",
        money=Money.UNKNOWN,
    )


def _defect(error: Exception) -> RunaError:
    from runa_cli.issuing.failures import location_of

    return RunaError(
        f"This is a defect in runa {__version__}: {location_of(error)}.",
        "What was recorded is saved. Running the same command again is safe; please report this.",
        money=Money.UNKNOWN,
    )


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _open_standard_streams() -> None:
    """Open closed standard streams on /dev/null, so that the ledger never gets one of their numbers.

    A message would then be written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
