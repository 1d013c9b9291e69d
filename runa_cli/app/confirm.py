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


def confirm_account(session: Session, batch: Batch, *, yes: bool) -> None:
    """Make sure that links of a batch that was issued under another key may be shown. Raises GuardRefused.

    What the emulator issued is worth nothing, and without a key there is no other account.
    """
    account = session.settings.account
    others = session.ledger.accounts(batch) - {account}
    if yes or not account or not others or batch.environment == "local":
        return
    keys = ", ".join(f"{other}.…" for other in sorted(others))
    message = f"Batch {batch.name} was issued under the key {keys}, and this is {account}.…"
    if session.ask is None or not session.ask(f"{message}. Show its links?"):
        raise GuardRefused(
            f"{message}. Nothing was shown.",
            "Add --yes if its links may be shown here.",
            Context(batch=batch.name),
            code="key_changed",
        )
