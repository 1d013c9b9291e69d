"""The errors that an order, or the ledger of its batch, can end in: what happened, and what to do next."""

import shlex
import traceback
from pathlib import Path

from runa_cli.api.classify import Refused, credential_hint, describe_error
from runa_cli.core.errors import (
    BatchBusy,
    Context,
    CredentialRefused,
    GuardRefused,
    LedgerUnusable,
    Money,
    OrderFailed,
    OrderRefused,
    OutcomeUnknown,
    PartlyDone,
    RunaError,
)
from runa_cli.core.money import counted
from runa_cli.core.states import State
from runa_cli.ledger.claims import ClaimLost
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import UNMATCHED, Batch, Order


def context(batch: Batch, order: Order) -> Context:
    """Return the ids that an error about this order shows."""
    return Context(batch.name, order.idempotency_key, order.order_id, order.request_id)


# --- settled orders --------------------------------------------------------------------------------------------------


def recorded_failure(order: Order, about: Context) -> RunaError | None:
    """Return the error of an order that is settled but not done; None for any other order."""
    if order.state is State.FAILED:
        return OrderFailed(
            f"Runa reports order {order.order_id} as FAILED, without a reason.",
            "Ask ordersupport@runa.io with this order id before issuing it again.",
            about,
        )
    if order.state is State.ABANDONED:
        hint = (
            "To issue it all the same, use another --idempotency-key, with --again."
            if order.own_key
            else "To issue it all the same, run the command that created it with --again."
        )
        if order.first_sent_at is None:
            message = "The order was abandoned (`runa batch abandon`) before it was sent: nothing was issued."
            return GuardRefused(message, hint, about, code="abandoned")
        message = "The order was abandoned (`runa batch abandon`) while its outcome was unknown."
        return OutcomeUnknown(message, hint, about, code="abandoned", money=Money.UNKNOWN)
    if order.state is State.COMPLETED and order.error_type == UNMATCHED:
        return PartlyDone(
            f"Order {order.order_id} is issued, but {order.error_text}. Such items are shown at the end of the results,"
            " as rows of their own.",
            "Ask ordersupport@runa.io, with this order id, for whom Runa made them. Nothing is sent again.",
            about,
            code=UNMATCHED,
            money=Money.ISSUED,
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


OWN_KEY_ADVICE = (
    "Fix the cause, then use another --idempotency-key, and another --batch name if it has one: Runa repeats this"
    " answer for the present key, and nothing was issued under it."
)


def advice(error_type: str) -> str:
    """Return what to change after a rejection (developer.runa.io: reference/2024-02-05/errors)."""
    return {
        "insufficient_funds": "Add funds to the balance (`runa balance`), then run the same command again.",
        "product_validation_error": "Choose products that can be ordered for this amount (`runa product get CODE`).",
        "currency_mismatch": "Pay in the products' currency, or add --fx for a single item.",
        "ordering_restricted": "The account's spending limit is reached. Runa has sent an email about what to do.",
        "validation_error": "Fix what Runa names, then run the command again.",
    }.get(error_type, "Fix the cause, then run the same command again; the order then gets a new key.")


# --- unfinished orders -----------------------------------------------------------------------------------------------


def access_refused(batch: Batch, order: Order, refused: Refused) -> RunaError:
    """Return the error for a refused API key, version or address, where the order was not sent before."""
    return CredentialRefused(
        f"Runa refused the request: {describe_error(refused.error)} ({refused.error.type}). Nothing was issued.",
        credential_hint(refused.error.type),
        context(batch, order),
        code=refused.error.type,
    )


def access_refused_later(batch: Batch, order: Order, refused: Refused) -> RunaError:
    """Return the error for a refused API key, version or address, where an earlier request may have arrived."""
    return _unfinished(
        batch,
        order,
        f"Runa refuses requests now ({describe_error(refused.error)}), and the outcome of the order sent earlier is"
        " unknown.",
        credential_hint(refused.error.type) + " Then run the same command again.",
        code=refused.error.type,
    )


def key_used_for_other_order(batch: Batch, order: Order) -> RunaError:
    """Return the error for an idempotency key under which Runa has other content."""
    return _unfinished(
        batch,
        order,
        f"Runa has another order under the key {order.idempotency_key}, so it did not accept this one.",
        "Somebody used this key for other content. Look for the order at Runa before anything is sent under another"
        " key; `runa batch abandon` gives this order up.",
        code="idempotency_validation_error",
    )


def timed_out(batch: Batch, order: Order, *, attempts: int, reason: str, url: str, seconds: float) -> RunaError:
    """Return the error for an order that Runa did not accept within the time limit."""
    if order.state is State.PREPARED:
        return _unfinished(
            batch,
            order,
            f"Runa was not reached at {url}: {reason}. Nothing was sent.",
            "Check the connection, then run the same command again.",
            code="not_connected",
            money=Money.NOT_ISSUED,
        )
    return _unfinished(
        batch,
        order,
        f"The outcome of the order is unknown after {counted(attempts, 'attempt')} in {seconds:.1f} s:"
        f" {reason}. It may have been issued.",
    )


def still_processing(batch: Batch, order: Order, *, reason: str, seconds: float) -> RunaError:
    """Return the error for an order that Runa accepted but did not settle within the time limit."""
    return _unfinished(
        batch,
        order,
        f"Runa accepted the order as {order.order_id}, but it did not settle within {seconds:g} s: {reason}.",
        "Run the same command again, or `runa batch resume`: it fetches this order and never sends it again.",
        code="still_processing",
    )


def not_settled(batch: Batch, order: Order) -> RunaError:
    """Return the error for an order that is recorded as unfinished, where nothing is sent or asked for now."""
    what = {State.PREPARED: "not sent yet", State.SENT: "of unknown outcome"}.get(
        order.state, "still processed by Runa"
    )
    return _unfinished(
        batch,
        order,
        f"Order {order.position} of batch {batch.name} is {what}.",
        f"`runa batch resume {shlex.quote(batch.name)}` finishes it.",
        money=Money.NOT_ISSUED if order.state is State.PREPARED else Money.UNKNOWN,
    )


def outcome_not_found(batch: Batch, order: Order, reason: str, search: str) -> RunaError:
    """Return the error for an order whose outcome neither Runa's answers nor a search for it have shown.

    `reason` says why it was searched for, and `search` what the search found.
    """
    return _unfinished(
        batch,
        order,
        f"The outcome of the order is unknown: {reason}. {search}",
        f"Check in Runa's portal whether it was issued. If it was not, `runa batch abandon {shlex.quote(batch.name)}`"
        " gives it up, and only then may it be issued again.",
        code="outcome_unknown",
    )


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


# --- the ledger or this program fails --------------------------------------------------------------------------------


def reply_not_recorded(batch: Batch, order: Order, error: LedgerUnusable) -> OutcomeUnknown:
    """Return the error for a ledger that failed after bytes of the order may have been sent."""
    return _unfinished(
        batch,
        order,
        f"{error.message} The order may have been issued, and its reply could not be recorded.",
        "Free disk space or repair the ledger, then run the same command again: Runa repeats its answer for this key.",
        code="ledger_unusable",
    )


def claim_lost(batch: Batch, order: Order, lost: ClaimLost) -> RunaError:
    """Return the error for an order whose batch this process has not claimed any more, and so does not work on."""
    if order.state is not State.PREPARED:
        return _unfinished(
            batch, order, f"{lost.message} The order may have been issued.", lost.hint, code=ClaimLost.default_code
        )
    return ClaimLost(lost.message, lost.hint, context(batch, order))


def busy(ledger: Ledger, batch: Batch, what: str, hint: str) -> BatchBusy:
    """Return the error for a batch that another process has claimed; `what` says what this one therefore left."""
    holder = ledger.holder(batch)
    return BatchBusy(
        f"Another process works on batch {batch.name} right now{f': {holder}' if holder else ''}. {what}",
        hint,
        Context(batch=batch.name),
    )


def batch_not_readable(batch: Batch, error: LedgerUnusable) -> OutcomeUnknown:
    """Return the error for a ledger that failed after orders of the batch may have been sent."""
    return OutcomeUnknown(
        f"{error.message} Orders of batch {batch.name} may have been issued.",
        "Repair the ledger, then run the same command again: what was recorded is not sent twice.",
        Context(batch=batch.name),
        code="ledger_unusable",
        money=Money.UNKNOWN,
    )


def body_changed(batch: Batch, order: Order) -> RunaError:
    """Return the error for an order whose body in the ledger is not the one that was recorded. It is not sent."""
    message = f"The ledger is damaged: order {order.position} of batch {batch.name} was changed since it was recorded."
    hint = "Restore the ledger from a backup, with its -wal file if there is one. The order is not sent as it is."
    if order.state in {State.SENT, State.ACCEPTED}:
        return _unfinished(
            batch, order, f"{message} It may have been issued when it was sent before.", hint, code="ledger_damaged"
        )
    return LedgerUnusable(f"{message} It was not sent.", hint, context(batch, order), code="ledger_damaged")


def defect(batch: Batch, order: Order, error: Exception) -> RunaError:
    """Return the error for an unexpected exception while the order was worked on."""
    return RunaError(
        f"This is a defect in runa: {location_of(error)}. The order may have been issued.",
        "Running the same command again is safe; please report this.",
        context(batch, order),
        money=Money.UNKNOWN,
    )


def location_of(error: Exception) -> str:
    """Return the type of an exception and the line that raised it, without its message, which may hold secrets."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"


def call_chain(error: Exception) -> str:
    """Return the type of an exception and the calls that led to it, without its message, which may hold secrets."""
    calls = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at " + ", ".join(f"{Path(call.filename).name}:{call.lineno}" for call in calls)


# --- batches that cannot be resumed ----------------------------------------------------------------------------------


def pruned(batch: Batch) -> GuardRefused:
    """Return the error for a batch that was pruned, so that nothing of it can be shown."""
    when = f" on {batch.pruned_at:%Y-%m-%d}" if batch.pruned_at else ""
    return GuardRefused(
        f"Batch {batch.name} was pruned{when}: its links are no longer recorded. Nothing was sent.",
        "Runa still has its orders (`runa order list`, `runa order get ID`). Gifts that it does not hold need a list of"
        " their own.",
        Context(batch=batch.name),
        code="pruned",
    )
