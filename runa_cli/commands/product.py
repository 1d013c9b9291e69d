"""`runa product`: the catalogue."""

from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import Group, open_session, with_common

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions

app = typer.Typer(cls=Group, help="What can be ordered.", no_args_is_help=True)


@app.command("list")
@with_common
def list_(
    *,
    common: "CommonOptions",
    country: Annotated[
        list[str] | None,
        typer.Option("--country", metavar="US", help="Redeemable there: code or name; repeat for several."),
    ] = None,
    category: Annotated[str | None, typer.Option("--category", metavar="NAME", help="Of this category.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", metavar="USD", help="In this currency.")] = None,
    search: Annotated[str | None, typer.Option("--search", metavar="TEXT", help="In name or code.")] = None,
    orderable: Annotated[bool, typer.Option("--orderable", metavar="", help="Only what can be ordered.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", metavar="", help="Fetch the catalogue anew.")] = False,
) -> None:
    """Show the products that can be ordered.

    The catalogue is kept on this machine for a day; all filters are applied here.

    $ runa product list --search amazon
    $ runa product list --country US --category travel --orderable
    """
    from runa_cli.app import products

    with open_session(common) as session:
        wanted = products.ProductFilter(country or (), category, currency, search, orderable)
        products.show_list(session, wanted, refresh=refresh)


@app.command()
@with_common
def get(
    *, common: "CommonOptions", code: Annotated[str, typer.Argument(metavar="CODE", help="The product's code.")]
) -> None:
    """Show one product: its values, countries and state.

    $ runa product get AMZ-US
    """
    from runa_cli.app import products

    with open_session(common) as session:
        products.show_one(session, code)


@app.command()
@with_common
def countries(*, common: "CommonOptions") -> None:
    """Show the countries that have products.

    $ runa product countries
    """
    from runa_cli.app import products

    with open_session(common) as session:
        products.show_names(session, "/product/countries", "countries")


@app.command()
@with_common
def categories(*, common: "CommonOptions") -> None:
    """Show the categories of products.

    $ runa product categories
    """
    from runa_cli.app import products

    with open_session(common) as session:
        products.show_names(session, "/product/categories", "categories")
