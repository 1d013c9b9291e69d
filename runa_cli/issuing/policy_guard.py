"""Checks what is about to be issued against the policies in force: that of the settings, and that of the ledger.

The check is made before any question, and again in the transaction that records an order or marks it as sent. Money is
reserved in that same transaction, so that processes that issue at the same time cannot spend the same money.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field

from runa_cli.core.clock import Clock
from runa_cli.core.errors import Context
from runa_cli.input.plan import Plan
from runa_cli.issuing.failures import context
from runa_cli.issuing.weighing import NOTHING_WEIGHED, Weighing
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import AdoptedOrder, Batch, Order
from runa_cli.ledger.spending import Left

if TYPE_CHECKING:  # most have no policy: what reads and checks one is loaded where one is in force
    from runa_cli.issuing.policy import Policy
    from runa_cli.issuing.policy_asked import Asked
    from runa_cli.issuing.policy_standing import Scales

STORED = "stored in the ledger"


class PolicyGuard(Struct):
    """Holds what is about to be issued to the policies in force. `own` is that of the settings, None for none.

    `ledger` is None where nothing is recorded yet.
    """

    ledger: Ledger | None
    environment: str
    clock: Clock
    own: "Policy | None" = None
    _stored: dict[str, "Policy"] = field(default_factory=dict)
    _in_force: "list[Policy] | None" = None

    def policies(self) -> "list[Policy]":
        """Return the policies in force, that of the ledger read anew. Raises ConfigurationError for an unusable one."""
        found = [self.own] if self.own else []
        text = self.ledger.stored_policy() if self.ledger else None
        if text is not None:
            if text not in self._stored:
                from runa_cli.issuing.policy_file import read_policy

                self._stored[text] = read_policy(text, STORED)
            found.append(self._stored[text])
        self._in_force = found
        return found

    def digest(self) -> str:
        """Return the digest of the policies of the last check, by which the record names them; empty for none."""
        in_force = self.policies() if self._in_force is None else self._in_force
        return "+".join(policy.sha256 for policy in in_force)

    # --- checks --------------------------------------------------------------------------------------------------

    def check_plan(
        self, plan: Plan, batch: Batch | None = None, *, adds: bool = False, adopted: Sequence[AdoptedOrder] = ()
    ) -> Weighing:
        """Check what is left of a plan. Raises GuardRefused.

        `batch` is the recorded one that it is issued in; its orders that nothing was made of are given back, unless the
        plan `adds` to them. `adopted` are orders that would be recorded before. Returns how the limits stand.
        """
        policies = self.policies()
        if not policies or not plan.count_left:
            return NOTHING_WEIGHED
        from runa_cli.issuing.policy_asked import PlanAsked

        left_out = Left(batch=batch.id) if batch and not adds else Left()
        return self._check(PlanAsked(plan), self._scales(batch, left_out, adopted), policies, plan=plan)

    def check_unsent(self, batch: Batch, *, renewed: bool = False) -> Weighing:
        """Check what was recorded of a batch and never sent; `renewed`: and what Runa rejected. Raises GuardRefused."""
        policies = self.policies()
        if not policies or self.ledger is None:
            return NOTHING_WEIGHED
        from runa_cli.issuing.policy_asked import to_be_sent

        asked = to_be_sent(self.ledger, batch, renewed=renewed)
        return self._check(asked, self._scales(batch, Left(batch=batch.id)), policies, about=Context(batch=batch.name))

    def check_first_sending(self, batch: Batch, order: Order) -> None:
        """Check an order before it is sent for the first time. Raises GuardRefused.

        What was checked under the same policies when it was recorded is not checked again in the same windows.
        """
        policies = self.policies()
        if not policies or self.ledger is None:
            return
        reserved = self.ledger.reservation(order)
        if reserved.policy == self.digest() and self._is_in_same_windows(policies, reserved.time):
            return
        self.check_order(batch, order)

    def check_order(self, batch: Batch, order: Order) -> None:
        """Check a recorded order, as for one that Runa rejected and that is recorded once more. Raises GuardRefused."""
        policies = self.policies()
        if not policies or self.ledger is None:
            return
        from runa_cli.issuing.policy_asked import RecordedAsked

        asked = RecordedAsked(self.ledger, [order.id])
        self._check(asked, self._scales(batch, Left(order=order.id)), policies, about=context(batch, order))

    def _is_in_same_windows(self, policies: Iterable["Policy"], reserved_at: str) -> bool:
        from runa_cli.issuing.policy_check import are_in_same_windows

        return bool(reserved_at) and are_in_same_windows(
            policies, datetime.fromisoformat(reserved_at).astimezone(UTC), self._now()
        )

    def _now(self) -> datetime:
        own = self.clock.now()
        return self.ledger.shared_time(own) if self.ledger else own

    def _check(
        self,
        asked: "Asked",
        scales: "Scales",
        policies: "Sequence[Policy]",
        *,
        plan: Plan | None = None,
        about: Context | None = None,
    ) -> Weighing:
        from runa_cli.issuing import policy_check

        return policy_check.check(policies, asked, scales, plan=plan, about=about)

    def _scales(self, batch: Batch | None, left_out: Left, adopted: Sequence[AdoptedOrder] = ()) -> "Scales":
        from runa_cli.issuing.policy_standing import Scales

        return Scales(self.ledger, self.environment, self._now(), batch, left_out, adopted)
