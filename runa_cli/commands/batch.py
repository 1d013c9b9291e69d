"""`runa batch`: what was issued from here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import Group, TimeoutOption, open_session, with_common

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions

app = typer.Typer(cls=Group, help="Follow, finish and show again what was issued from here.", no_args_is_help=True)

Results = Annotated[
    Path | None,
    typer.Option("--results", metavar="FILE", help="Also write the results there: CSV, or XLSX by its name."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The batch's name.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")]


@app.command("list")
@with_common
def list_(
    *,
    common: "CommonOptions",
    every: Annotated[bool, typer.Option("--all", metavar="", help="All there are, not only the newest 20.")] = False,
    after: Annotated[
        str | None, typer.Option("--after", metavar="NAME", help="Only batches older than this one.")
    ] = None,
) -> None:
    """Show the batches, newest first.

    $ runa batch list
    $ runa batch list --all -o csv
    """
    from runa_cli.app import batches

    with open_session(common) as session:
        batches.show_list(session, limit=None if every else batches.LISTED, after=after)


@app.command()
@with_common
def show(*, common: "CommonOptions", name: Name) -> None:
    """Show one batch, order by order.

    $ runa batch show welcome
    """
    from runa_cli.app import batches

    with open_session(common) as session:
        batches.show_batch(session, name)


@app.command()
@with_common
def resume(
    *,
    common: "CommonOptions",
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The batch's name.", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", metavar="", help="Every unfinished batch.")] = False,
    yes: Yes = False,
    timeout: TimeoutOption = None,
) -> None:
    """Finish what is unfinished, and show the results. It never pays twice.

    $ runa batch resume welcome
    $ runa batch resume --all
    """
    from runa_cli.app import resume

    with open_session(common, RUNA_TIMEOUT=timeout) as session:
        resume.resume(session, name, all_batches=every, yes=yes)


@app.command()
@with_common
def approve(
    *,
    common: "CommonOptions",
    name: Name,
    signature: Annotated[
        Path | None,
        typer.Option(
            "--signature", metavar="FILE", help="What `ssh-keygen -Y sign -n runa` wrote.", show_default=False
        ),
    ] = None,
) -> None:
    """Print the statement of a proposed batch to sign, or record a signature.

    Between the two, whoever approves signs: `ssh-keygen -Y sign -n runa -f ~/.ssh/id_ed25519 welcome.txt`.

    $ runa batch approve welcome > welcome.txt
    $ runa batch approve welcome --signature welcome.txt.sig
    """
    from runa_cli.app import approve

    with open_session(common) as session:
        approve.approve(session, name, signature)


@app.command()
@with_common
def export(*, common: "CommonOptions", name: Name, results: Results = None, yes: Yes = False) -> None:
    """Write a batch's results again, in any output format.

    $ runa batch export welcome -o csv > results.csv
    $ runa batch export welcome -o links
    $ runa batch export welcome -o links --results results.xlsx
    """
    from runa_cli.app import export

    with open_session(common) as session:
        export.export(session, name, results, yes=yes)


@app.command()
@with_common
def cards(
    *,
    common: "CommonOptions",
    name: Name,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The HTML page to write.", show_default=False)],
    layout: Annotated[
        str, typer.Option("--layout", metavar="a4|letter|fold", help="Eight cards a page, or a folded sheet each.")
    ] = "a4",
    yes: Yes = False,
) -> None:
    """Write a batch's gifts as cards with QR codes, for printing.

    Gifts that are not issued get an empty card.

    $ runa batch cards welcome --to cards.html
    $ runa batch cards welcome --to cards.html --layout fold
    """
    from runa_cli.app import cards

    with open_session(common) as session:
        cards.cards(session, name, to, layout=layout, yes=yes)


@app.command()
@with_common
def abandon(*, common: "CommonOptions", name: Name, yes: Yes = False) -> None:
    """Give up the orders of unknown outcome in a batch.

    They may have been issued all the same; their links will not be fetched any more.

    $ runa batch abandon welcome
    """
    from runa_cli.app import abandon

    with open_session(common) as session:
        abandon.abandon(session, name, yes=yes)


@app.command()
@with_common
def prune(
    *,
    common: "CommonOptions",
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this batch.", show_default=False)] = None,
    older_than: Annotated[
        int, typer.Option("--older-than", metavar="DAYS", min=0, max=36_500, help="Settled before that.")
    ] = 90,
    yes: Yes = False,
) -> None:
    """Drop the payloads, addresses and links of old settled batches.

    That they were issued stays known, so that they are not issued again.

    $ runa batch prune --older-than 365
    $ runa batch prune welcome --older-than 0
    """
    from runa_cli.app import prune

    with open_session(common) as session:
        prune.prune(session, name, older_than=older_than, yes=yes)
