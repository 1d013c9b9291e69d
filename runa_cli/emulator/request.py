"""A request as the account gets it, without sockets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and when it arrived (`now`, UTC). The names of headers are lower-case."""

    method: str
    path: str
    now: datetime
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return a header without surrounding spaces, or an empty string."""
        return self.headers.get(name.lower(), "").strip()

    def parameters(self, name: str) -> list[str]:
        """Return every value of a query parameter."""
        return parse_qs(self.query, keep_blank_values=True).get(name, [])

    def parameter(self, name: str) -> str | None:
        """Return the last value of a query parameter, or None."""
        values = self.parameters(name)
        return values[-1] if values else None
