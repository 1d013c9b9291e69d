"""`runa ledger`: the record of what was issued."""

from typing import TYPE_CHECKING

import typer

from runa_cli.commands.options import Group, open_session, with_common

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions

app = typer.Typer(cls=Group, help="The record of what was issued.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Name the group: Typer makes a group with one command that command itself."""


@app.command()
@with_common
def init(*, common: "CommonOptions") -> None:
    """Make the ledger that RUNA_LEDGER names, or bring its tables up to date. One on a server needs it once."""
    from runa_cli.app import ledger

    with open_session(common) as session:
        ledger.init(session)
