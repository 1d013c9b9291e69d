"""The confirmation of what cannot be undone."""

from runa_cli.app.session import Session
from runa_cli.core.errors import Context, GuardRefused


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
