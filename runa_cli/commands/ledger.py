"""`runa ledger`: the record of what was issued."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import Group, open_session, with_common

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions

app = typer.Typer(cls=Group, help="The record of what was issued.", no_args_is_help=True)

Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", metavar="", help="Do not ask: the newer copy of this ledger is lost for good."),
]


@app.command()
@with_common
def init(*, common: "CommonOptions") -> None:
    """Make the ledger that RUNA_LEDGER names, or bring its tables up to date.

    A ledger on a server needs it once.

    $ runa ledger init
    """
    from runa_cli.app import ledger

    with open_session(common) as session:
        ledger.init(session)


@app.command()
@with_common
def backup(
    *, common: "CommonOptions", path: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")]
) -> None:
    """Copy the whole ledger to a file, while it is in use.

    The file is a ledger itself.

    $ runa ledger backup ledger-2026-11.db
    """
    from runa_cli.app import ledger

    with open_session(common) as session:
        ledger.back_up(session, path)


@app.command()
@with_common
def copy(
    *,
    common: "CommonOptions",
    source: Annotated[str, typer.Option("--from", metavar="FILE|URL", help="The ledger to copy.", show_default=False)],
) -> None:
    """Copy another ledger into the empty one that RUNA_LEDGER names.

    It takes the place of the other one.

    $ runa ledger copy --from ledger.db
    """
    from runa_cli.app import ledger

    with open_session(common) as session:
        ledger.copy_from(session, source)


@app.command()
@with_common
def check(
    *,
    common: "CommonOptions",
    read_back: Annotated[
        bool,
        typer.Option("--read-back", metavar="", help="Read back all orders at Runa, though nothing tells of a loss."),
    ] = False,
    unstamped: Annotated[
        str | None,
        typer.Option(
            "--unstamped", metavar="adopt|leave", help="Record orders too that may be another program's, or leave them."
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    """Check that the ledger is sound, and read back what a restored one lacks.

    What is missing is read from Runa's orders; then the ledger is open again.

    $ runa ledger check
    $ runa ledger check --read-back
    """
    from runa_cli.app import ledger_check

    with open_session(common) as session:
        ledger_check.check(session, read_back=read_back, unstamped=unstamped, yes=yes)
