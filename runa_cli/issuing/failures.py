"""The sentences for what keeps an order from being done: what happened, and what to do next."""

import shlex
import traceback
from pathlib import Path

from runa_cli.api.classify import Refused, credential_hint, describe_error
from runa_cli.core.errors import (
    Context,
    CredentialRefused,
    GuardRefused,
    LedgerUnusable,
    Money,
    OrderFailed,
    OrderRefused,
    OutcomeUnknown,
    RunaError,
)
from runa_cli.core.states import State
from runa_cli.ledger.records import Batch, Order


def context(batch: Batch, order: Order) -> Context:
    """Return what an error about this order names."""
    return Context(batch.name, order.idempotency_key, order.order_id, order.request_id)


def _unfinished(
    batch: Batch, order: Order, message: str, hint: str | None = None, *, code: str = "", money: Money = Money.UNKNOWN
) -> OutcomeUnknown:
    return OutcomeUnknown(
        message,
        hint or "Run the same command again: it sends the same order under the same key, so it cannot pay twice.",
        context(batch, order),
        code=code,
        money=money,
    )


def out_of_time(batch: Batch, order: Order, *, attempts: int, said: str, url: str, seconds: float) -> RunaError:
    """Say that the time is over, and the order as unsettled as the ledger says."""
    if order.state is State.PREPARED:
        return _unfinished(
            batch,
            order,
            f"Runa was not reached at {url}: {said}. Nothing was sent.",
            "Check the connection, then run the same command again.",
            code="not_connected",
            money=Money.NOT_ISSUED,
        )
    return _unfinished(
        batch,
        order,
        f"The outcome of the order is unknown after {attempts} attempt(s) in {seconds:.1f} s:"
        f" {said}. It may have been issued.",
    )


def still_processing(batch: Batch, order: Order, *, said: str, seconds: float) -> RunaError:
    """Say that Runa accepted the order, and that it takes longer than this run waits."""
    return _unfinished(
        batch,
        order,
        f"Runa accepted the order as {order.order_id}, but it did not settle within {seconds:g} s: {said}.",
        "Run the same command again, or `runa batch resume`: it asks for this order and never sends it again.",
        code="still_processing",
    )


def key_holds_other_order(batch: Batch, order: Order) -> RunaError:
    """Say that Runa holds other content under the key."""
    return _unfinished(
        batch,
        order,
        f"Runa holds another order under the key {order.idempotency_key}, so this one was not taken.",
        "Somebody used this key for other content. Look for the order at Runa before anything is sent under another"
        " key; `runa batch abandon` gives this one up.",
        code="idempotency_validation_error",
    )


def key_refused_later(batch: Batch, order: Order, refused: Refused) -> RunaError:
    """Say that Runa does not let the request in, while an earlier one may have arrived."""
    return _unfinished(
        batch,
        order,
        f"Runa does not accept the key now ({describe_error(refused.error)}), and what became of the order sent earlier"
        " is unknown.",
        credential_hint(refused.error.type) + " Then run the same command again.",
        code=refused.error.type,
    )


def outcome_not_found(batch: Batch, order: Order, reason: str, looked: str) -> RunaError:
    """Say that no answer tells what became of the order, and that it was not found."""
    return _unfinished(
        batch,
        order,
        f"The outcome of the order is unknown: {reason}. {looked}",
        f"Look in Runa's portal whether it was issued. If it was not, `runa batch abandon {shlex.quote(batch.name)}`"
        " gives it up, and only then may it be issued again.",
        code="outcome_unknown",
    )


def order_not_let_in(batch: Batch, order: Order, refused: Refused) -> RunaError:
    """Say that Runa did not let the order in, and that nothing of it was sent before."""
    return CredentialRefused(
        f"Runa did not take the order: {describe_error(refused.error)} ({refused.error.type}). Nothing was issued.",
        credential_hint(refused.error.type),
        context(batch, order),
        code=refused.error.type,
    )


def defect(batch: Batch, order: Order, error: Exception) -> RunaError:
    """Say that the program itself failed while the order was under way."""
    return RunaError(
        f"This is a defect in runa: {location_of(error)}. The order may have been issued.",
        "Running the same command again is safe; please report this.",
        context(batch, order),
        money=Money.UNKNOWN,
    )


def reply_not_recorded(batch: Batch, order: Order, error: LedgerUnusable) -> OutcomeUnknown:
    """Say that the ledger failed after a byte of the order may have left."""
    return _unfinished(
        batch,
        order,
        f"{error.message} The order may have been issued, and its reply could not be recorded.",
        "Make room or mend the ledger, then run the same command again: Runa repeats its answer for this key.",
        code="ledger_unusable",
    )


def batch_not_readable(batch: Batch, error: LedgerUnusable) -> OutcomeUnknown:
    """Say that the ledger failed after orders of the batch may have been sent."""
    return OutcomeUnknown(
        f"{error.message} Orders of batch {batch.name} may have been issued.",
        "Mend the ledger, then run the same command again: what was recorded is not sent twice.",
        Context(batch=batch.name),
        code="ledger_unusable",
        money=Money.UNKNOWN,
    )


def location_of(error: Exception) -> str:
    """Return where a defect showed itself, without anything it worked on."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"


def calls_to(error: Exception) -> str:
    """Return the calls that led to a defect; its own text may hold a key or a link, and no log line does."""
    calls = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at " + ", ".join(f"{Path(call.filename).name}:{call.lineno}" for call in calls)


def recorded_failure(order: Order, about: Context) -> RunaError | None:
    """Return the error that a settled order stands for; None where it is completed."""
    if order.state is State.FAILED:
        return OrderFailed(
            f"Runa reports order {order.order_id} as FAILED, without a reason.",
            "Ask ordersupport@runa.io with this order id before issuing it again.",
            about,
        )
    if order.state is State.ABANDONED:
        return OutcomeUnknown(
            "The order was given up by a person while its outcome was unknown.",
            "To issue it again, use another batch.",
            about,
            code="abandoned",
            money=Money.UNKNOWN,
        )
    if order.state is not State.REJECTED:
        return None
    error_type, text = order.error_type or "order_refused", order.error_text or "no reason"
    return OrderRefused(
        f"Runa rejected the order: {text} ({error_type}). Nothing was issued.",
        OWN_KEY_ADVICE if order.own_key else advice(error_type),
        about,
        code=error_type,
    )


OWN_KEY_ADVICE = "Mend the cause, then use another --idempotency-key: Runa repeats this answer for this one."


def advice(error_type: str) -> str:
    """Return what to change after a rejection (developer.runa.io: reference/2024-02-05/errors)."""
    return {
        "insufficient_funds": "Add funds to the balance (`runa balance`), then run the same command again.",
        "product_validation_error": "Choose products that can be ordered for this amount (`runa product get CODE`).",
        "currency_mismatch": "Pay in the products' currency, or add --fx for a single item.",
        "ordering_restricted": "The account's spending limit is reached: Runa has mailed how to go on.",
        "validation_error": "Mend what Runa names, then run the command again.",
    }.get(error_type, "Mend the cause, then run the same command again; it takes a new key.")


def pruned(batch: Batch) -> GuardRefused:
    """Say that a batch was pruned, so that nothing of it can be shown."""
    when = f" on {batch.pruned_at:%Y-%m-%d}" if batch.pruned_at else ""
    return GuardRefused(
        f"Batch {batch.name} was pruned{when}: its links are no longer recorded. Nothing was sent.",
        "Runa still has its orders (`runa order list`). To issue more gifts, use another --batch name.",
        Context(batch=batch.name),
        code="pruned",
    )
