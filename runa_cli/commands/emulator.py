"""`runa emulator`: the local stand-in for Runa, for other programs and for starting afresh."""

from typing import Annotated

import typer

from runa_cli.commands.options import Common, session_of, with_common

app = typer.Typer(help="The local API: orders that cost nothing.", no_args_is_help=True)


@app.command()
@with_common
def serve(
    *,
    common: Common,  # noqa: ARG001 - every command takes them; a server has nothing to show in a format
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="0 takes a free one.", show_default="8642")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    fault: Annotated[list[str] | None, typer.Option("--fault", metavar="NAME@N", help="Misbehave; repeat.")] = None,
) -> None:
    """Serve the emulator until Ctrl-C, so that its payout links open. Prints its base URL, for RUNA_BASE_URL."""
    from runa_cli.emulator import __main__ as foreground
    from runa_cli.emulator.server import DEFAULT_PORT
    from runa_cli.session import emulator_path

    path = emulator_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    faults = [part for name in fault or () for part in ("--fault", name)]
    chosen = str(DEFAULT_PORT if port is None else port)
    raise typer.Exit(foreground.main(["--db", str(path), "--host", host, "--port", chosen, *faults]))


@app.command()
@with_common
def reset(*, common: Common) -> None:
    """Forget the emulator's orders and balances."""
    from runa_cli.emulator import store
    from runa_cli.session import emulator_path

    store.reset(emulator_path())
    with session_of(common) as session:
        session.talk.say(f"The emulator starts afresh: {emulator_path()} is gone.")
