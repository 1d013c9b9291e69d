"""`runa audit`: the ledger against Runa's orders, or against its own journal."""

from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import TimeoutOption, open_session, with_common
from runa_cli.core.errors import UsageMistake

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions


@with_common
def audit(
    *,
    common: "CommonOptions",
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Made on that day or later (all of this ledger).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Made on that day or earlier (now).")
    ] = None,
    journal: Annotated[
        bool, typer.Option("--journal", metavar="", help="Check the journal instead, and print its last hash.")
    ] = False,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head", metavar="HASH", help="With --journal: this earlier hash must still be in it; may be repeated."
        ),
    ] = None,
    timeout: TimeoutOption = None,
) -> None:
    """Compare the ledger with Runa's orders, and change nothing.

    It tells what is missing on one side, or differs.

    With --journal it checks that nobody has changed the journal of the ledger, and prints its head, a hash to keep
    elsewhere; `--head HASH` finds it again. Exit code 0 where all agrees, 10 where something differs.

    $ runa audit --since 2026-11-01
    $ runa audit -o csv > audit.csv
    $ runa audit --journal
    """
    from runa_cli.app import audit
    from runa_cli.app import journal as journals
    from runa_cli.app.moments import parse_moment

    if head and not journal:
        raise UsageMistake("--head needs --journal.")
    if journal and (since or until):
        raise UsageMistake("--journal is checked as a whole: --since and --until are for the comparison with Runa.")
    days = parse_moment("--since", since), parse_moment("--until", until, end=True)
    with open_session(common, RUNA_TIMEOUT=timeout) as session:
        if journal:
            journals.audit_journal(session, head or [])
        else:
            audit.audit(session, *days)
