"""The answers of the emulated API, with the bodies of its errors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

API_VERSION = "2024-02-05"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: a status, its headers and the bytes of its body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, **headers: str) -> "Answer":
        """Return a copy with more headers; an underscore in a name stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


class RefusedError(Exception):
    """Raised to refuse a request with an error answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body.decode())
        self.answer = answer


def encode(value: object) -> bytes:
    """Return a value as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_answer(status: int, value: object) -> Answer:
    """Return an answer whose body is JSON."""
    return Answer(status, encode(value), {"Content-Type": "application/json"})


def from_application(answer: Answer) -> Answer:
    """Add the headers that the application, but not the gateway in front of it, adds to every answer."""
    return answer.with_headers(X_Api_Version=API_VERSION, X_Amzn_Requestid=str(uuid4()))


def error(kind: str, **words: str) -> Answer:
    """Return the answer for an error `type` of the API (developer.runa.io: reference/errors).

    `words` fill the placeholders of its message and help. Raises KeyError for a type that is not in the table.
    """
    status, message, advice = _ERRORS[kind]
    text = advice.format(**words) if advice else None
    return json_answer(status, {"type": kind, "message": message.format(**words), "help": text})


def validation_error(details: list[dict[str, Any]]) -> Answer:
    """Return the 422 that lists every mistake of a request with its place."""
    message = "The request has one or more problems, see details."
    return json_answer(422, {"type": "validation_error", "message": message, "help": None, "details": details})


def gateway_error(kind: str) -> Answer:
    """Return a 401 or 403 as the gateway gives it, before the application sees the request."""
    errortype = {"unauthorized": "UnauthorizedException", "forbidden": "AccessDeniedException"}[kind]
    return error(kind).with_headers(X_Amzn_Errortype=errortype, X_Amzn_Requestid=str(uuid4()))


def rate_exceeded() -> Answer:
    """Return the 429, whose body differs from that of every other error."""
    return json_answer(429, {"error": "rate exceeded"})


# Clients may depend only on the type and the status, so the texts are the emulator's own.
_ERRORS: dict[str, tuple[int, str, str | None]] = {
    "unauthorized": (401, "There is no usable 'X-Api-Key' header", "Send an API key of this emulator."),
    "forbidden": (403, "This key may not use this resource", "Look at the path and at the key."),
    "bad_request": (400, "The body cannot be read: {reason}.", "Send one JSON object in UTF-8."),
    "not_found": (404, "Nothing is found at this address.", "Look at the path and at the id in it."),
    "internal_server_error": (500, "Something broke on the server.", "Send the same request again later."),
    "invalid_version": (400, "There is no API version {version}.", "Ask for version 2024-02-05."),
    "version_removed": (410, "API version {version} is gone.", "Ask for version 2024-02-05."),
    "pagination_error": (400, "The page asked for makes no sense: {reason}.", "Correct limit, before or after."),
    "idempotency_validation_error": (
        400,
        "This idempotency key came with another body before.",
        "Use a new key for a new order, or send the body of the first request.",
    ),
    "idempotency_in_progress": (
        400,
        "The first request with this idempotency key is not finished.",
        "Wait a moment, then send the same request again.",
    ),
    "insufficient_funds": (
        400,
        "The {currency} balance is too small for this order.",
        "Top up the {currency} balance, then order with a new key.",
    ),
    "product_validation_error": (400, "These products cannot be ordered so: {reason}", None),
    "currency_mismatch": (
        400,
        "The payment is in {payment} but the products are in {products}.",
        "Pay in the currency of the products, or order a single item synchronously.",
    ),
    "invalid_execution_mode": (400, "The execution mode is neither async nor sync.", None),
}
