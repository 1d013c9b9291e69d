"""`audit --journal`: follows the journal from its first event to its last; and notes who reads links."""

import re
from pathlib import Path

from runa_cli.app.session import Session
from runa_cli.core.errors import DifferencesFound, LedgerUnusable, UsageMistake
from runa_cli.ledger.events import BACKED_UP, LINKS_READ
from runa_cli.ledger.journal import Chain, Event
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.tables import Summary, summary_parts


def audit_journal(session: Session, heads: list[str]) -> None:
    """Check the journal, and show the hash of its last event. Nothing is changed.

    `heads` are such hashes of earlier times: each must be that of an event. Raises UsageMistake for one that cannot be
    a hash, DifferencesFound, and LedgerUnusable.
    """
    wanted = [head.strip().lower() for head in heads]
    for head in wanted:
        if not re.fullmatch(r"[0-9a-f]{64}", head):
            raise UsageMistake(f"--head must be the 64 hexadecimal digits of a journal's head, found {head!r}.")
    chain, differences, count = session.ledger.check_journal(*wanted)
    lost = [head for head in wanted if head not in chain.places]
    problems = [chain.broken] if chain.broken else []
    problems += [
        f"The head {head} is not in the journal: it is that of another ledger, this one was restored from a backup that"
        " is older than the head, the journal's end was cut off, or it was written anew."
        for head in lost
    ]
    problems += differences
    if count > len(differences):
        problems.append(f"{count - len(differences)} more orders differ.")
    formats.show(session.output, _view(chain, problems))
    if problems:
        raise DifferencesFound(
            "\n  ".join(["The journal is not as it was, or the ledger does not agree with it:", *problems]),
            "Compare with an older backup (`runa audit --journal` on it), and the orders with those at Runa. After a"
            " restore, keep the new head.",
            details=[{"problem": problem} for problem in problems],
            code="journal_differs",
        )
    if chain.events and not wanted:
        session.console.note(
            "Keep the head elsewhere: `runa audit --journal --head HASH` then tells if it is still there."
        )


def _view(chain: Chain, problems: list[str]) -> View:
    head = chain.head if chain.events else ""
    document = {
        "events": chain.events,
        "head": head or None,
        "intact": not problems,
        "found": [{"head": each, "event": number} for each, number in sorted(chain.places.items())],
        "problems": problems,
    }
    facts = [("Events", f"{chain.events:,}"), ("Head", head)]
    facts += [("Found", f"{each}: event {number:,}") for each, number in sorted(chain.places.items())]
    status = "BROKEN" if problems else "INTACT" if chain.events else "EMPTY"
    return View(
        entries=lambda: [document],
        documents=lambda: [document],
        table=lambda width: summary_parts(Summary("Journal", "", status, facts), width),
        csv_header=("events", "head", "intact"),
        csv_cells=lambda: [(str(chain.events), head, str(not problems).lower())],
    )


def note_links_read(session: Session, command: str, environment: str, batch: str | None = None) -> None:
    """Record in the journal, before links are shown, which command is about to show them."""
    _note(session, Event(LINKS_READ, {"command": command, "environment": environment, "batch": batch}))


def note_backup(session: Session, path: Path) -> None:
    """Record in the journal that a copy of the ledger is about to be made, which holds all links too."""
    _note(session, Event(BACKED_UP, {"to": str(path.absolute())}))


def _note(session: Session, event: Event) -> None:
    """Record what changes nothing. It goes on even where that cannot be recorded.

    Nobody may lose a link, or the chance of a backup, because a disk is full.
    """
    try:
        session.ledger.add_event(event)
    except LedgerUnusable as error:
        session.console.warn(f"The journal does not tell of this: {error.message}")
