"""What an answer proves: Runa's judgement of an order, a refusal before the order was looked at, or nothing."""

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from runa_cli.api import responses
from runa_cli.api.retry import Outcome
from runa_cli.core.errors import Context, CredentialRefused, RequestRefused, RunaError
from runa_cli.ledger.records import Exchange

LONGEST_WAIT = 1e9  # seconds; longer than any time limit

# Answers that Runa gives before it looks at the idempotency key: they say nothing about an order sent earlier.
CREDENTIAL_TYPES = frozenset(
    {"unauthorized", "invalid_api_key", "forbidden", "invalid_version", "version_removed", "insecure_protocol"}
)
# Answers that Runa gives to the order itself and stores under its key (developer.runa.io: reference/2024-02-05/errors).
FINAL_TYPES = frozenset(
    {
        "bad_request",
        "validation_error",
        "idempotency_validation_error",
        "insufficient_funds",
        "product_validation_error",
        "currency_mismatch",
        "payment_method_unavailable",
        "invalid_card_id",
        "currency_not_supported",
        "invalid_execution_mode",
        "ordering_restricted",
    }
)
_NOT_LET_IN_STATUSES = frozenset({401, 404, 405, 407, 426})
_TRANSIENT_STATUSES = frozenset({408, 409, 425})


@dataclass(frozen=True)
class Reply:
    """A whole HTTP answer. `date` is the server's own clock, where it gave one."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    received: datetime

    @property
    def request_id(self) -> str | None:
        """The id that Runa's support can find the exchange by."""
        return self.headers.get("X-Amzn-Requestid") or self.headers.get("X-Request-Id")

    @property
    def date(self) -> datetime | None:
        """When the server says it answered (UTC, whole seconds)."""
        return _http_date(self.headers.get("Date", ""))

    @property
    def exchange(self) -> Exchange:
        """What the ledger keeps of it beside the body."""
        error = responses.error_body(self.body) if self.status >= 300 else None
        return Exchange(
            http_status=self.status,
            request_id=self.request_id,
            error_type=error.type if error else None,
            error_text=describe_error(error) if error else None,
        )


@dataclass(frozen=True)
class Answered:
    """Runa answered with an order. Whether it is ours is not decided here."""

    order: responses.Order
    reply: Reply


@dataclass(frozen=True)
class Refused:
    """A final no.

    `judged` is true where Runa judged the order itself: then nothing was made under this key, neither now nor earlier.
    `shut` is true where the door was shut before the order was looked at (key, version, address). A no that is neither
    may come from a proxy on the way.
    """

    error: responses.ErrorBody
    reply: Reply
    judged: bool
    shut: bool


@dataclass(frozen=True)
class Uncertain:
    """No answer that settles anything: what it was, in words, and how long Runa asks to wait (seconds)."""

    outcome: Outcome
    said: str
    reply: Reply | None = None
    retry_after: float | None = None


class NotConnected(Exception):
    """Not a byte was sent: the name was not found, the connection refused, or TLS failed."""


class NoAnswer(Exception):
    """The request may have arrived; no whole answer came back."""


def classify_order_answer(reply: Reply) -> Answered | Refused | Uncertain:
    """Sort an answer about an order into what it proves (developer.runa.io: best-practices/handling-errors)."""
    error = responses.error_body(reply.body) if not 200 <= reply.status < 300 else None
    words = describe_reply(reply)
    if reply.status == 102 or (error and error.type == "idempotency_in_progress"):
        return Uncertain(Outcome.IN_PROGRESS, "Runa is still working on an earlier request with this key", reply)
    if reply.status == 429:
        return Uncertain(Outcome.RATE_LIMITED, "Runa asks for fewer orders a minute", reply, retry_after(reply))
    if reply.status == 202:
        return _accepted(reply)
    if 200 <= reply.status < 300:
        try:
            return Answered(responses.read_order(reply.body), reply)
        except responses.Unreadable as reason:
            return Uncertain(Outcome.UNCLEAR, f"the answer is unreadable ({reason})", reply)
    if reply.status >= 500:
        return Uncertain(Outcome.SERVER_ERROR, words, reply, retry_after(reply))
    if error is None or not 400 <= reply.status < 500 or reply.status in _TRANSIENT_STATUSES:
        return Uncertain(Outcome.UNCLEAR, words, reply)
    shut = error.type in CREDENTIAL_TYPES or error.type == "not_found" or reply.status in _NOT_LET_IN_STATUSES
    return Refused(error, reply, judged=error.type in FINAL_TYPES and not shut, shut=shut)


def _accepted(reply: Reply) -> Answered | Uncertain:
    """Take a 202 by its id, whatever else it says: an accepted order is polled and never posted again."""
    try:
        document = responses.read_object(reply.body)
        known = {name: document.get(name) for name in ("id", "metadata")}
        return Answered(responses.parse(responses.Order, {**known, "status": "PROCESSING"}), reply)
    except responses.Unreadable as reason:
        return Uncertain(Outcome.UNCLEAR, f"the acceptance is unreadable ({reason})", reply)


def describe_reply(reply: Reply) -> str:
    """Say what an answer was, in words."""
    error = responses.error_body(reply.body)
    return f"HTTP {reply.status}" + (f", {error.type}: {describe_error(error)}" if error else "")


def describe_error(error: responses.ErrorBody) -> str:
    """Return Runa's own words about a refusal, with each detail's place."""
    details = "; ".join(f"{detail.path}: {detail.message}" for detail in error.details[:10])
    return " ".join(filter(None, [error.message.strip(), details])).rstrip(".") or error.type


def is_transient(reply: Reply) -> bool:
    """Tell whether the same question may be answered a moment later."""
    return reply.status in {102, 408, 425, 429} or reply.status >= 500


def retry_after(reply: Reply) -> float | None:
    """Return the seconds that Runa asks to wait; it documents no such header, but honouring one costs nothing."""
    text = reply.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 9 else LONGEST_WAIT
    moment = _http_date(text)
    now = reply.date or reply.received
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def refusal_error(reply: Reply) -> RunaError:
    """Return the error for a question that Runa refused."""
    error = responses.error_body(reply.body)
    context = Context(request_id=reply.request_id)
    if error is None:
        return RequestRefused(f"Runa's answer is HTTP {reply.status} without a reason.", context=context)
    if error.type in CREDENTIAL_TYPES or reply.status in {401, 403}:
        return CredentialRefused(
            f"Runa does not accept the request: {describe_error(error)} ({error.type}).",
            hint=credential_hint(error.type),
            code=error.type,
            context=context,
        )
    return RequestRefused(f"Runa said no: {describe_error(error)} ({error.type}).", code=error.type, context=context)


def credential_hint(error_type: str) -> str:
    """Return what to do when Runa does not let a request in."""
    if "version" in error_type:
        return (
            "RUNA_API_VERSION names a version that Runa does not serve; leave it out to use the one this program knows."
        )
    if error_type == "insecure_protocol":
        return "RUNA_BASE_URL must begin with https://."
    return "Check RUNA_API_KEY (`runa config` shows its prefix); it may be revoked, or belong to another environment."
