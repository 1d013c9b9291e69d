"""Days and times as people give them to `--since` and `--until`."""

from datetime import UTC, datetime, timedelta

from runa_cli.core.errors import UsageMistake


def parse_moment(flag: str, text: str | None, *, end: bool = False) -> datetime | None:
    """Parse a day or a time, local unless it has a time zone, as UTC. With `end`, a day means its end.

    Raises UsageMistake.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageMistake(
            f"{flag} must be a day or a time such as 2026-11-23 or 2026-11-23T09:00, found {text!r}."
        ) from error
    if end and len(text) <= 10:
        moment += timedelta(days=1)
    return moment.astimezone(UTC)
