"""The question before something that cannot be undone."""

from runa_cli.app.session import Session
from runa_cli.core.errors import Context, GuardRefused


def confirm(session: Session, question: str, *, yes: bool, about: Context | None = None) -> None:
    """Make sure that somebody means it. Raises GuardRefused."""
    if yes:
        return
    if session.ask is None:
        raise GuardRefused(f"{question}: that needs a yes.", "Add --yes.", about or Context(), code="not_confirmed")
    if not session.ask(question + "."):
        raise GuardRefused("Not confirmed. Nothing was changed.", None, about or Context(), code="not_confirmed")
