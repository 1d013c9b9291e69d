"""The log lines of `-v`: as text for people, or each as one JSON object."""

import logging
from datetime import UTC, datetime

from runa_cli.core import exact_json
from runa_cli.core.safe_text import printable


def timestamp(seconds: float) -> str:
    """Return a time (seconds since 1970) as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextLines(logging.Formatter):
    """A line as people read it: the time of day and the message, safe on a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return printable(super().format(record))


class JsonLines(logging.Formatter):
    """A line as programs read it: time (RFC 3339, UTC), message, and the facts that the caller gave as `facts`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts = getattr(record, "facts", {})
        return exact_json.dumps_for_display(
            {"time": timestamp(record.created), "message": record.getMessage(), **facts}
        )
