"""`runa report`: what was spent, and on whom."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import Group, open_session, with_common

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions

app = typer.Typer(cls=Group, help="What was spent from here, and on whom.", no_args_is_help=True)

Since = Annotated[str | None, typer.Option("--since", metavar="DAY", help="Issued on that day or later.")]
Until = Annotated[str | None, typer.Option("--until", metavar="DAY", help="Issued on that day or earlier.")]
To = Annotated[
    Path | None, typer.Option("--to", metavar="FILE", help="Write it to this file instead: .xlsx or .csv, by its end.")
]


@app.command()
@with_common
def spend(
    *,
    common: "CommonOptions",
    by: Annotated[
        str,
        typer.Option("--by", metavar="KIND", help="A row for each month, week, day, batch, product, currency or user."),
    ] = "month",
    since: Since = None,
    until: Until = None,
    to: To = None,
) -> None:
    """Show what was spent: face values, prices, and what may have been issued.

    Currencies are never added up. Days are those of this machine's time zone.

    $ runa report spend --by user --since 2026-11-01
    $ runa report spend --by month --to spend.xlsx
    """
    from runa_cli.app import report_spend
    from runa_cli.app.moments import parse_moment

    days = parse_moment("--since", since), parse_moment("--until", until, end=True)
    with open_session(common) as session:
        report_spend.show(session, by, days, to)


@app.command()
@with_common
def recipients(
    *,
    common: "CommonOptions",
    year: Annotated[
        int | None, typer.Option("--year", metavar="YEAR", min=2000, max=2999, help="Issued in that year.")
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="email|reference", help="Tell people apart by address or by reference.")
    ] = "email",
    threshold: Annotated[
        str | None,
        typer.Option("--threshold", metavar="AMOUNT", help="Only persons who got that much: 2000, or '2000 USD'."),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(
            "--also", metavar="FILE", help="Add who got what from another source: CSV or XLSX; repeat for more."
        ),
    ] = None,
    sheet: Annotated[
        str | None, typer.Option("--sheet", metavar="NAME", help="The sheet of the --also workbook.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=HEADING", help="Which column of --also a field is, e.g. email=Work."),
    ] = None,
    since: Since = None,
    until: Until = None,
    to: To = None,
) -> None:
    """Show what each person got in all batches together. No tax advice.

    The largest sums come first.

    $ runa report recipients --year 2026 --threshold 2000
    $ runa report recipients --also payroll.xlsx
    """
    from runa_cli.app import report_recipients, report_scope
    from runa_cli.app.moments import parse_moment
    from runa_cli.commands.order_options import field_and_heading
    from runa_cli.core.errors import UsageMistake

    if year is not None and (since is not None or until is not None):
        raise UsageMistake("--year and --since or --until contradict each other.")
    days = parse_moment("--since", since), parse_moment("--until", until, end=True)
    wanted = report_recipients.Wanted(
        by,
        days if year is None else report_scope.year(year),
        threshold,
        tuple(also or ()),
        sheet,
        tuple(map(field_and_heading, column or ())),
    )
    with open_session(common) as session:
        report_recipients.show(session, wanted, to)
