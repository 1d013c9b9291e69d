"""Asks for approval where a policy wants it. What decides that (approval.py) is loaded only where one is in force."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from runa_cli.core.clock import Clock
from runa_cli.input.plan import Plan
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch

if TYPE_CHECKING:
    from runa_cli.issuing.approval import ApprovalGuard
    from runa_cli.issuing.policy import Policy


class Granted(Struct, frozen=True):
    """A batch may be sent: until when (None for always), under which policies, by which proposal (None for none)."""

    until: datetime | None
    policies: tuple[str, ...]
    proposal_id: int | None = None


_NOTHING_IN_FORCE = Granted(None, ())


class ApprovalCheck(Struct):
    """Refuses what is not approved. `policies` returns those in force; `account` is the one that pays."""

    ledger: Ledger
    account: str
    clock: Clock
    policies: "Callable[[], Sequence[Policy]]"

    def check_plan(
        self, plan: Plan, name: str | None, batch: Batch | None = None, *, adds: bool = False, proposes: bool = False
    ) -> None:
        """Check what a create would record, as `ApprovalGuard.check_plan` does, which says what is raised."""
        if proposes or self.policies():
            self.guard().check_plan(plan, name, batch, adds=adds, proposes=proposes)

    def check(self, batch: Batch) -> Granted:
        """Check that what was never sent of a recorded batch may be sent. Raises GuardRefused and ConfigurationError.

        Without a policy nothing but a proposal can hold it back.
        """
        if not self.policies() and self.ledger.proposal(batch.id) is None:
            return _NOTHING_IN_FORCE
        return self.guard().check(batch)

    def check_again(self, batch: Batch, granted: Granted) -> Granted:
        """Check, in the transaction that marks an order as sent, that the batch may still be sent.

        Returns by what. Raises GuardRefused, and ConfigurationError.
        """
        if granted == _NOTHING_IN_FORCE and not self.policies():
            return granted
        return self.guard().check_again(batch, granted)

    def guard(self) -> "ApprovalGuard":
        """Return what decides, with the policies in force."""
        from runa_cli.issuing.approval import ApprovalGuard

        return ApprovalGuard(self.ledger, self.account, self.clock, self.policies)
