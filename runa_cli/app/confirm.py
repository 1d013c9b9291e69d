"""The confirmation of what cannot be undone, and of showing what another account has paid for."""

from runa_cli.app.session import Session
from runa_cli.core.errors import Context, GuardRefused
from runa_cli.ledger.records import Batch


def confirm(session: Session, question: str, *, yes: bool, about: Context | None = None) -> None:
    """Ask the question unless `yes` answers it. Raises GuardRefused for a no, and where nobody can be asked."""
    if yes:
        return
    if session.ask is None:
        raise GuardRefused(
            f"{question}. This needs a confirmation.", "Add --yes.", about or Context(), code="not_confirmed"
        )
    if not session.ask(question + "."):
        raise GuardRefused("Not confirmed. Nothing was changed.", None, about or Context(), code="not_confirmed")


def other_accounts(session: Session, batch: Batch) -> set[str]:
    """Return under which other keys than the one in use orders of a batch were issued.

    What the emulator issued is worth nothing, and without a key there is no other account.
    """
    account = session.settings.account
    return session.ledger.accounts(batch) - {account} if account and batch.environment != "local" else set()


def confirm_account(session: Session, batch: Batch, *, yes: bool) -> None:
    """Make sure that links of a batch that was issued under another key may be shown. Raises GuardRefused."""
    if yes or not (others := other_accounts(session, batch)):
        return
    account = session.settings.account
    keys = ", ".join(f"{other}.…" for other in sorted(others))
    message = f"Batch {batch.name} was issued under the key {keys}, and this is {account}.…"
    if session.ask is None or not session.ask(f"{message}. Show its links?"):
        raise GuardRefused(
            f"{message}. Nothing was shown.",
            "Add --yes if its links may be shown here.",
            Context(batch=batch.name),
            code="key_changed",
        )
