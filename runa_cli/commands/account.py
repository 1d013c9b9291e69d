"""`runa balance`, `runa ping` and `runa config`."""

from typing import Annotated

import typer

from runa_cli.commands.options import Common, TimeoutOption, session_of, with_common


@with_common
def balance(
    *,
    common: Common,
    currency: Annotated[
        str | None, typer.Argument(metavar="[CURRENCY]", help="One currency.", show_default=False)
    ] = None,
) -> None:
    """Show the account's balance in one currency, or all that hold money."""
    from runa_cli.app import account

    with session_of(common) as session:
        account.balance(session, currency)


@with_common
def ping(*, common: Common, timeout: TimeoutOption = None) -> None:
    """Check that the key and the connection work."""
    from runa_cli.app import account

    with session_of(common, RUNA_TIMEOUT=timeout) as session:
        account.ping(session)


@with_common
def config(*, common: Common) -> None:
    """Show every setting, its value, where it came from, and what is wrong."""
    from runa_cli.app import show_config

    with session_of(common) as session:
        show_config.show(session)
