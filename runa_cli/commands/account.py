"""`runa balance`, `runa ping` and `runa config`."""

from typing import TYPE_CHECKING, Annotated

import typer

from runa_cli.commands.options import TimeoutOption, open_session, with_common

if TYPE_CHECKING:
    from runa_cli.app.session import CommonOptions


@with_common
def balance(
    *,
    common: "CommonOptions",
    currency: Annotated[
        str | None, typer.Argument(metavar="[CURRENCY]", help="One currency.", show_default=False)
    ] = None,
) -> None:
    """Show the account's balance in one currency, or all that hold money.

    $ runa balance
    $ runa balance USD --json
    """
    from runa_cli.app import account

    with open_session(common) as session:
        account.balance(session, currency)


@with_common
def ping(*, common: "CommonOptions", timeout: TimeoutOption = None) -> None:
    """Check that the key and the connection work.

    $ runa ping
    """
    from runa_cli.app import account

    with open_session(common, RUNA_TIMEOUT=timeout) as session:
        account.ping(session)


@with_common
def config(*, common: "CommonOptions") -> None:
    """Show every setting, its value and where it came from, and the profiles.

    $ runa config
    $ runa config --profile acme-live
    """
    from runa_cli.app import show_config

    with open_session(common) as session:
        show_config.show(session)
