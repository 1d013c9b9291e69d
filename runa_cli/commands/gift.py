"""`runa gift`: the gifts of the ledger."""

from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import Group, open_session, with_common

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions

ShowOthers = Annotated[
    bool, typer.Option("--yes", "-y", metavar="", help="Show links that were issued under another key, too.")
]

app = typer.Typer(cls=Group, help="Find gifts that were issued from here.", no_args_is_help=True)


@app.command("list")
@with_common
def list_(
    *,
    common: "CommonOptions",
    search: Annotated[
        str | None,
        typer.Option(
            "--search",
            metavar="TEXT",
            help="Part of an address, reference, other column, link or id; or words in several columns.",
        ),
    ] = None,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="NAME", help="All gifts of this batch, by row.")
    ] = None,
    product: Annotated[str | None, typer.Option("--product", metavar="CODE", help="With this product.")] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="STATUS", help="completed, failed, …, unfinished, or ACTIVE, EXPIRED, …"),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Sent (or else recorded) on that day or later.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Sent (or else recorded) on that day or earlier.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many (default 20; of a batch: all).")
    ] = None,
    every: Annotated[bool, typer.Option("--all", metavar="", help="All there are, without a limit.")] = False,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="Those that follow, where a list was cut.")
    ] = None,
    yes: ShowOthers = False,
) -> None:
    """Show the gifts of the ledger, those of the newest orders first.

    Upper and lower case make no difference. Links are shown too: whoever has one has the money.

    $ runa gift list --search 'ann example.com'
    $ runa gift list --batch welcome --status completed -o gifts
    """
    from runa_cli.app import gift_list
    from runa_cli.app.moments import parse_moment
    from runa_cli.core.errors import UsageMistake
    from runa_cli.ledger.gift_search import GiftFilter

    if every and limit is not None:
        raise UsageMistake("--all and --limit contradict each other.")
    states, payout = gift_list.parse_status(status)
    wanted = GiftFilter(
        words=gift_list.search_words(search),
        product=product,
        states=states,
        payout=payout,
        since=parse_moment("--since", since),
        until=parse_moment("--until", until, end=True),
    )
    with open_session(common) as session:
        if batch is not None:
            gift_list.show_batch(session, batch, wanted, gift_list.Page(limit, after), yes=yes)
        else:
            page = gift_list.Page(None if every else limit or gift_list.LISTED, after)
            gift_list.show_list(session, wanted, page, yes=yes)


@app.command()
@with_common
def get(
    *,
    common: "CommonOptions",
    gift: Annotated[str, typer.Argument(metavar="GIFT", help="Its item id (E-…), its link or its reference.")],
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="NAME", help="Of this batch, where several have the reference.")
    ] = None,
    yes: ShowOthers = False,
) -> None:
    """Show one gift by its item id, its link or its reference.

    Where several gifts have the reference, they are named instead (exit 2).

    $ runa gift get E001
    $ runa gift get E001 --batch welcome --json
    """
    from runa_cli.app import gift_get

    with open_session(common) as session:
        gift_get.show_one(session, gift, batch, yes=yes)
