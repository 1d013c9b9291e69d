"""What another ledger may have issued of a batch since it was recorded here.

Another machine issues the same list, or this ledger was restored from a copy. A key stops only the same order, not the
same gifts in an order of another composition.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from runa_cli.api.classify import NOT_OF_THE_API
from runa_cli.api.client import Client
from runa_cli.core.clock import Clock
from runa_cli.core.errors import (
    ConfigurationError,
    Context,
    CredentialRefused,
    GuardRefused,
    RequestRefused,
    RunaError,
    Unreachable,
)
from runa_cli.core.identity import name_key
from runa_cli.core.states import State
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest
from runa_cli.issuing.batch_lookup import BatchLookup, FoundOrder
from runa_cli.issuing.terms import Say
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch, Order

CLOCKS_DIFFER = 2  # days that are added to the age of a batch, one of them because it is counted in whole days


def may_be_issued_elsewhere(
    ledger: Ledger, batch: Batch, plan: Plan, request: CreateRequest, *, as_recorded: bool
) -> bool:
    """Tell whether another ledger may have issued meanwhile what a recorded batch is about to send.

    That is what is new in an edited file, or was recorded by an earlier run and never sent.
    """
    if request.idempotency_key is not None or not plan.count_left:
        return False
    return not as_recorded or _has_unsent(ledger, batch)


def check_to_resume(
    client: Client, ledger: Ledger, batch: Batch, look_back: int, *, seconds: float, say: Say, clock: Clock
) -> None:
    """Check that no other ledger has issued more of a batch, whose orders are about to be sent without its file.

    Raises GuardRefused, and the error of a request that Runa did not answer.
    """
    if not _has_unsent(ledger, batch):
        return
    check_read_back(ledger, batch)
    if not batch.named or not look_back:
        return
    lookup = BatchLookup(
        client,
        batch.name,
        days_since(batch, look_back, clock),
        seconds,
        lambda order_id: ledger.has_order(batch.environment, order_id),
        say,
        clock,
    )
    try:
        found = lookup.find(lambda order: name_key(order.batch_stamp or "") == name_key(batch.name))
    except RunaError as error:
        without = "RUNA_LOOK_BACK=0 resumes it"  # which has no flag for it
        raise not_looked_through(batch.name, error, is_new=False, without=without) from error
    others = [order.id for order in found if _own(ledger, batch, order) is None]
    if others:
        raise _issued_elsewhere(batch, others)


def check_read_back(ledger: Ledger, batch: Batch) -> None:
    """Check that nothing of a batch was read back that what is left to send may be. Raises GuardRefused.

    A ledger was restored from a copy in which orders were not sent yet, or of unknown outcome. The lost one may have
    given these up and issued their gifts in others, which no input has confirmed here.
    """
    read_back = ledger.read_back_orders(batch)
    if not read_back:
        return  # nearly always, and what is left to send may be much
    first = min((order.id for order in ledger.orders(batch, [State.PREPARED, State.SENT])), default=None)
    if since := [order for order in read_back if first is not None and order.id > first]:
        raise _issued_elsewhere(batch, [order.order_id or "" for order in since])


def _issued_elsewhere(batch: Batch, order_ids: Sequence[str]) -> GuardRefused:
    return GuardRefused(
        f"More of batch {batch.name} was issued elsewhere, from another ledger or before this one was restored, in"
        f" {', '.join(order_ids[:3])}. Whether that is what is left to send here cannot be told without its file."
        " Nothing was sent.",
        "Run the command that created it with its latest file: it takes over what was issued, and issues the rest."
        f" `runa batch abandon {shlex.quote(batch.name)}` gives the rest up.",
        Context(batch=batch.name, order_id=order_ids[0]),
        code="issued_elsewhere",
    )


def was_sent_from_here(ledger: Ledger, batch: Batch, order: FoundOrder) -> bool:
    """Tell whether an order at Runa is one that this ledger has sent, so that its own key tells what became of it."""
    own = _own(ledger, batch, order)
    return own is not None and not _is_unsent(own)


def days_since(batch: Batch, look_back: int, clock: Clock) -> int:
    """Return for how many days back orders are found that were made since a batch was recorded."""
    age = clock.now() - batch.created_at
    return min(look_back, age.days + CLOCKS_DIFFER) if age >= timedelta(0) else look_back  # else a clock was set back


def not_looked_through(
    name: str, error: RunaError, *, is_new: bool, without: str = "--no-lookup issues it"
) -> RunaError:
    """Return the error for orders at Runa that could not be read. `without` says how the look-up is left out."""
    why = f"Batch {name} is new to this ledger" if is_new else f"Another ledger may have issued more of batch {name}"
    message = f"{why}, and the orders at Runa could not be looked through for it: {error.message} Nothing was sent."
    context = error.context._replace(batch=name)
    if isinstance(error, CredentialRefused):
        return replace(error, message=message, context=context)
    if isinstance(error, RequestRefused):  # no list of orders is there: a look at another time finds none either
        return ConfigurationError(message, error.hint or NOT_OF_THE_API, context, code=error.code)
    hint = (
        f"{error.hint or 'Try again later.'} {without} without looking: only if it was never issued from another"
        " machine or ledger."
    )
    return Unreachable(message, hint, context, code=error.code)


def _has_unsent(ledger: Ledger, batch: Batch) -> bool:
    return any(map(_is_unsent, ledger.orders(batch, [State.PREPARED])))


def _own(ledger: Ledger, batch: Batch, order: FoundOrder) -> Order | None:
    return ledger.order_by_key(batch.environment, order.stamp) if order.stamp else None


def _is_unsent(order: Order) -> bool:
    return order.state is State.PREPARED and order.first_sent_at is None
