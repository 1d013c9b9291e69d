"""`runa policy`: the spending rules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import Group, open_session, with_common

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions

app = typer.Typer(cls=Group, help="The spending rules.", no_args_is_help=True)


@app.command()
@with_common
def check(
    *,
    common: "CommonOptions",
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A policy file; by default what is in force.", show_default=False),
    ] = None,
) -> None:
    """Check a policy, and say in words what it says.

    $ runa policy check policy.toml
    $ runa policy check
    """
    from runa_cli.app import policy

    with open_session(common) as session:
        policy.check(session, path)


@app.command()
@with_common
def show(*, common: "CommonOptions") -> None:
    """Show of each limit what is used, reserved and left, and when it resets.

    $ runa policy show
    $ runa policy show -o csv
    """
    from runa_cli.app import policy

    with open_session(common) as session:
        policy.show(session)


@app.command()
@with_common
def store(
    *,
    common: "CommonOptions",
    path: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The policy file to store.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", metavar="", help="Remove the stored policy.")] = False,
) -> None:
    """Store a policy in the ledger, for everybody who issues with it.

    $ runa policy store policy.toml
    $ runa policy store --remove
    """
    from runa_cli.app import policy

    with open_session(common) as session:
        policy.store(session, path, remove=remove)
