"""`runa emulator`: the local stand-in for Runa, for other programs and for starting afresh."""

from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import Group, open_session, with_common

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions

app = typer.Typer(cls=Group, help="The local API: orders that cost nothing.", no_args_is_help=True)


@app.command()
@with_common
def serve(
    *,
    common: "CommonOptions",  # noqa: ARG001 - every command takes them; a server has nothing to show in a format
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="0 takes a free one.", show_default="8642")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME@N", help="Misbehave; repeat for more.")
    ] = None,
) -> None:
    """Serve the emulator until Ctrl-C, so that its payout links open.

    Prints its base URL, for RUNA_BASE_URL.

    Faults of POST /order: lost-before, lost-after, cut-length, cut-close, unreadable, 102, 102-then-200, in-progress,
    429, 429-retry-after, stored-5xx, stored-5xx-made, transient-5xx, 503-html, proxy-403, slow, dribble, foreign-order,
    shuffled, respelled, unmatched, no-funds, failed, failed-bare, failed-at-first, redirect; of GET /order/ID: get-500,
    get-429, get-lost, get-404, get-failed; and clock+DAYS. NAME@2 is the second request, NAME@2-4 a few, NAME@* all;
    slow:5 and dribble:0.1 set seconds.

    $ runa emulator serve
    $ runa emulator serve --port 0 --fault lost-after@1
    """
    from runa_cli.app.session import emulator_data
    from runa_cli.core.errors import ConfigurationError, UsageMistake
    from runa_cli.emulator import __main__ as foreground
    from runa_cli.emulator.server import DEFAULT_PORT, Emulator

    chosen = DEFAULT_PORT if port is None else port
    try:
        with emulator_data() as path:
            emulator = Emulator(path, host=host, port=chosen, faults=fault or ())
    except ValueError as unknown:
        raise UsageMistake(f"--fault: {unknown}.") from unknown
    try:
        emulator.start()
    except foreground.UNUSABLE as unusable:
        raise ConfigurationError(f"The emulator cannot start: {foreground.reason(unusable, chosen)}") from unusable
    raise typer.Exit(foreground.run(emulator))


@app.command()
@with_common
def reset(*, common: "CommonOptions") -> None:
    """Delete the emulator's orders and balances.

    $ runa emulator reset
    """
    from runa_cli.app.changes import show_changes
    from runa_cli.app.session import emulator_data
    from runa_cli.core.errors import ConfigurationError
    from runa_cli.emulator import store

    with open_session(common) as session:
        try:
            with emulator_data() as path:
                store.reset(path)
        except store.InUse:
            raise ConfigurationError(
                f"The emulator's data in {path} are in use, so nothing was deleted.",
                "Stop `runa emulator serve`, or whatever else works with --env local, and run the same command again.",
                code="emulator_in_use",
            ) from None
        show_changes(session, {"deleted": str(path)}, [f"Deleted {path}: the emulator starts with no orders."])
