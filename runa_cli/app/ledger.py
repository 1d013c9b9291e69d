"""`ledger init`: makes a ledger before it is used, which one on a server needs."""

from runa_cli.app.changes import show_changes
from runa_cli.app.session import Session
from runa_cli.config import settings as configuration
from runa_cli.config.ledger_address import ServerLedger


def init(session: Session) -> None:
    """Make the ledger of the settings, or bring its tables up to date. Raises LedgerUnusable."""
    configuration.check_readable(session.settings)
    address = session.settings.ledger.value
    if isinstance(address, ServerLedger):
        from runa_cli.ledger.driver import require_driver

        require_driver()
        from runa_cli.ledger.postgres_init import initialise

        done = initialise(address)
        ledger = session.ledger  # opened as an order would, so that what is wrong is told now
        made, migrated = done.before == 0, done.before != done.now
    else:
        ledger = session.ledger
        made, migrated = ledger.is_new, False
    what = "made" if made else "brought up to date" if migrated else "there already"
    document = {"ledger": str(ledger.path), "made": made, "migrated": migrated and not made}
    # A new file is announced by whatever opens it.
    show_changes(session, document, [] if ledger.is_new else [f"The ledger is {what}: {ledger.path}"])
