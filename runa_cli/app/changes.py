"""Tells what a command changed: as sentences for people, as one document for programs."""

from collections.abc import Mapping, Sequence

from runa_cli.app.session import Session


def show_changes(session: Session, document: Mapping[str, object], sentences: Sequence[str]) -> None:
    """Write the document on standard output in a JSON format, else the sentences on standard error.

    Raises OutputFailed.
    """
    match session.output.format:
        case "json":
            session.output.json(dict(document))
        case "jsonl":
            session.output.json_line(dict(document))
        case _:
            for sentence in sentences:
                session.console.say(sentence)
    session.output.flush()
