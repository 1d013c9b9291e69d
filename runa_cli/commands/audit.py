"""`runa audit`."""

from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import open_session, with_common
from runa_cli.core.errors import UsageMistake

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions


@with_common
def audit(
    *,
    common: "CommonOptions",
    journal: Annotated[
        bool, typer.Option("--journal", metavar="", help="Check the journal, and print the hash of its last event.")
    ] = False,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="HASH", help="With --journal: a hash kept elsewhere is still there; repeat."),
    ] = None,
) -> None:
    """Check that nobody has changed the journal of the ledger. It changes nothing.

    `runa audit --journal` prints the head, which you keep elsewhere; `runa audit --journal --head HASH` finds it again.
    Exit 10 where something differs.
    """
    from runa_cli.app import journal as journals

    if not journal:
        raise UsageMistake("Nothing to check.", "`runa audit --journal` checks the journal.")
    with open_session(common) as session:
        journals.audit_journal(session, head or [])
