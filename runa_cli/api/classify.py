"""What an answer proves: that Runa has the order, that Runa or something before it refused, or nothing."""

import email.utils
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

from msgspec import Struct

from runa_cli.api import responses
from runa_cli.api.retry import Outcome
from runa_cli.core.errors import Context, CredentialRefused, RequestRefused, RunaError
from runa_cli.ledger.records import Exchange

LONGEST_WAIT = 1e9  # seconds; longer than any time limit

# Runa gives these answers to the order itself, and repeats them for its idempotency key
# (developer.runa.io: reference/2024-02-05/errors).
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
_FINAL_STATUSES = frozenset({400, 403, 422})
# Runa gives these answers before it looks at the idempotency key: they say nothing about an order sent earlier.
_VERSION_TYPES = frozenset({"invalid_version", "version_removed", "insecure_protocol"})
_GATEWAY_TYPES = {
    401: frozenset({"unauthorized", "invalid_api_key"}),
    403: frozenset({"forbidden", "AccessDeniedException"}),
    404: frozenset({"not_found"}),
}
CREDENTIAL_TYPES = frozenset({"unauthorized", "invalid_api_key", "forbidden"}) | _VERSION_TYPES
_TRANSIENT_STATUSES = frozenset({408, 409, 425})


class Reply(Struct, frozen=True, dict=True):
    """A complete HTTP answer. `received` is when it came, on this machine's clock (UTC)."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    received: datetime

    @cached_property
    def document(self) -> dict[str, Any]:
        """The JSON object that it contains, which is read once. Raises Unreadable."""
        return responses.read_object(self.body)

    @property
    def request_id(self) -> str | None:
        """The id by which Runa's support can find the request."""
        return self.headers.get("X-Amzn-Requestid") or self.headers.get("X-Request-Id")

    @property
    def is_from_gateway(self) -> bool:
        """Whether it has a header of the gateway in front of Runa, and so was not made up on the way to it."""
        return "X-Amzn-Requestid" in self.headers or "X-Amzn-Errortype" in self.headers

    @property
    def date(self) -> datetime | None:
        """When it was sent, on the server's clock (UTC, whole seconds); None where the server does not say."""
        return _http_date(self.headers.get("Date", ""))

    @property
    def exchange(self) -> Exchange:
        """What the ledger keeps of this answer beside its body."""
        error = responses.error_body(self.body) if self.status >= 300 else None
        return Exchange(
            http_status=self.status,
            request_id=self.request_id,
            error_type=error.type if error else None,
            error_text=describe_error(error) if error else None,
        )


class Answered(NamedTuple):
    """Runa answered with an order. The caller must check that it is the order that was sent."""

    order: responses.Order
    reply: Reply


class Refused(NamedTuple):
    """A refusal that is Runa's own.

    `before_order`: the request was refused before Runa looked at the order, because of its API key, version or URL.
    That proves nothing about an order sent earlier. Any other refusal is of the order itself: nothing was issued under
    its key, neither now nor earlier.
    """

    error: responses.ErrorBody
    reply: Reply
    before_order: bool


class Uncertain(NamedTuple):
    """No answer, or one that proves nothing. `retry_after` is how long Runa asks to wait (seconds)."""

    outcome: Outcome
    reason: str
    reply: Reply | None = None
    retry_after: float | None = None


class NotConnected(Exception):
    """No connection was established, so nothing was sent: the host was not found or refused, or TLS failed."""


class NoAnswer(Exception):
    """The request may have arrived, but no complete answer came back."""


def classify_order_answer(reply: Reply) -> Answered | Refused | Uncertain:
    """Return what an answer proves about an order (developer.runa.io: best-practices/handling-errors)."""
    error = responses.error_body(reply.body) if not 200 <= reply.status < 300 else None
    if reply.status == 102 or (error and error.type == "idempotency_in_progress"):
        return Uncertain(Outcome.IN_PROGRESS, "Runa is still working on an earlier request with this key", reply)
    if reply.status == 429:
        return Uncertain(Outcome.RATE_LIMITED, "Runa's rate limit is reached", reply, retry_after(reply))
    if reply.status == 202:
        return _accepted(reply)
    if 200 <= reply.status < 300:
        try:
            return Answered(responses.parse(responses.Order, reply.document), reply)
        except responses.Unreadable as unreadable:
            return Uncertain(Outcome.UNCLEAR, f"the answer is unreadable ({unreadable})", reply)
    if reply.status >= 500:
        return Uncertain(Outcome.SERVER_ERROR, describe_reply(reply), reply, retry_after(reply))
    if not 400 <= reply.status < 500 or reply.status in _TRANSIENT_STATUSES:
        return Uncertain(Outcome.UNCLEAR, describe_reply(reply), reply)
    return _refused(reply, error)


def _refused(reply: Reply, error: responses.ErrorBody | None) -> Refused | Uncertain:
    """Return what a 4xx proves: only Runa's own refusal proves anything.

    Whatever is between this machine and Runa may pass an order on and still answer with a 4xx, which may be JSON with a
    `type` too. Runa's own refusals have a type that Runa documents; the general ones (credentials, path) also carry the
    header of its gateway, because other programs use the same words.
    """
    if error is not None:
        if error.type in FINAL_TYPES and reply.status in _FINAL_STATUSES:
            return Refused(error, reply, before_order=False)
        from_gateway = reply.is_from_gateway and error.type in _GATEWAY_TYPES.get(reply.status, ())
        if from_gateway or error.type in _VERSION_TYPES:
            return Refused(error, reply, before_order=True)
    reason = f"{describe_reply(reply)}, which is not a refusal that Runa documents"
    return Uncertain(Outcome.FOREIGN_REFUSAL, reason, reply)


def _accepted(reply: Reply) -> Answered | Uncertain:
    """Read only the id and the stamp of a 202: whatever else it contains, the order is accepted.

    An accepted order is polled and never posted again.
    """
    try:
        document = reply.document
        known = {name: document.get(name) for name in ("id", "metadata")}
        return Answered(responses.parse(responses.Order, {**known, "status": "PROCESSING"}), reply)
    except responses.Unreadable as error:
        return Uncertain(Outcome.UNCLEAR, f"the acceptance is unreadable ({error})", reply)


def describe_reply(reply: Reply) -> str:
    """Return the status of an answer, with the error it contains."""
    error = responses.error_body(reply.body)
    return f"HTTP {reply.status}" + (f", {error.type}: {describe_error(error)}" if error else "")


def describe_error(error: responses.ErrorBody) -> str:
    """Return Runa's message about an error, with its details and their places."""
    details = "; ".join(f"{detail.path}: {detail.message}" for detail in error.details[:10])
    return " ".join(filter(None, [error.message.strip(), details])).rstrip(".") or error.type


def is_transient(reply: Reply) -> bool:
    """Return whether the same request may succeed a moment later."""
    return reply.status in {102, 408, 425, 429} or reply.status >= 500


def retry_after(reply: Reply) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, None without one. Runa documents no such header."""
    text = reply.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 9 else LONGEST_WAIT
    time = _http_date(text)
    now = reply.date or reply.received
    return None if time is None else max(0.0, (time - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def refusal_error(reply: Reply) -> RunaError:
    """Return the error for a refused request that moves no money."""
    error = responses.error_body(reply.body)
    context = Context(request_id=reply.request_id)
    if error is None:
        return RequestRefused(
            f"Runa's answer is HTTP {reply.status} without a reason.", hint=NOT_OF_THE_API, context=context
        )
    if error.type in CREDENTIAL_TYPES or reply.status in {401, 403}:
        return CredentialRefused(
            f"Runa does not accept the request: {describe_error(error)} ({error.type}).",
            hint=credential_hint(error.type),
            code=error.type,
            context=context,
        )
    return RequestRefused(
        f"Runa refused the request: {describe_error(error)} ({error.type}).",
        hint=NOT_OF_THE_API if error.type == "not_found" else None,  # unless the caller knows what was not found
        code=error.type,
        context=context,
    )


NOT_OF_THE_API = "Check RUNA_BASE_URL, which usually ends with /v2: this may not be the answer of Runa's Payouts API."


def credential_hint(error_type: str) -> str:
    """Return what to do when Runa does not accept the key, the version or the URL of a request."""
    if "version" in error_type:
        return "RUNA_API_VERSION names a version that Runa does not serve; unset it to use the one this program knows."
    if error_type == "insecure_protocol":
        return "RUNA_BASE_URL must begin with https://."
    if error_type not in CREDENTIAL_TYPES:
        return NOT_OF_THE_API
    return "Check RUNA_API_KEY (`runa config` shows its prefix); it may be revoked, or belong to another environment."
