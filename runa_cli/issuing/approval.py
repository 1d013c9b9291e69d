"""Holds batches above an amount until other people have signed what is to be issued.

What is signed is a statement about the batch as it is recorded (statement.py). All signatures are verified anew before
the first order of a run is sent, against the policy and the file of signers as they are then. Nobody else can change
the batch after that, for it is claimed. That the policy is still the same and no signature has expired is checked once
more in the transaction that marks each order as sent.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from runa_cli.core import exact_json
from runa_cli.core.clock import Clock
from runa_cli.core.errors import GuardRefused
from runa_cli.core.money import from_minor
from runa_cli.core.states import COSTING, State
from runa_cli.input.plan import Plan
from runa_cli.issuing import approval_refusals as refusals
from runa_cli.issuing import ssh_signature
from runa_cli.issuing.approval_check import Granted
from runa_cli.issuing.approval_refusals import Rule, Standing
from runa_cli.issuing.policy import Policy
from runa_cli.issuing.policy_asked import PlanAsked
from runa_cli.issuing.signers_file import check_each_line
from runa_cli.issuing.ssh_signature import Signature
from runa_cli.issuing.statement import NAMESPACE, statement_of, whole_seconds
from runa_cli.ledger.approvals import Approval, Proposal
from runa_cli.ledger.ledger import Ledger
from runa_cli.ledger.records import Batch
from runa_cli.ledger.rows import to_timestamp
from runa_cli.ledger.spending import Left, Share


class ApprovalGuard(Struct):
    """Refuses what is not approved. `policies` returns those in force; `account` is the one that pays."""

    ledger: Ledger | None
    account: str
    clock: Clock
    policies: Callable[[], Sequence[Policy]]

    # --- before anything is recorded -----------------------------------------------------------------------------

    def check_plan(
        self,
        plan: Plan,
        name: str | None,
        batch: Batch | None = None,
        *,
        adds: bool = False,
        proposes: bool = False,
    ) -> None:
        """Check that what a create would record and send at once needs no approval. Raises GuardRefused.

        `batch` is the recorded one that the plan is issued in: its orders that nothing was made of are given back,
        unless the plan `adds` to them. Where the create `proposes` instead, somebody must be able to approve it; else
        raises ConfigurationError.
        """
        if proposes:
            self.check_rules()
            return
        if not plan.count_left:
            return
        shares = PlanAsked(plan).totals()
        if batch is not None:
            shares += self._ledger.spent_in_batch(batch.id, Left() if adds else Left(batch=batch.id))
        sums = _sums(shares, is_unknown=plan.has_unknown_costs)
        for rule in self._due(sums):
            raise refusals.needed(rule, _known(sums), name, is_recorded=False, standing=self._standing(batch))

    def check_rules(self) -> None:
        """Check that somebody could approve what is proposed now. Raises ConfigurationError.

        A mistake in a file of signers is found before a colleague has signed in vain.
        """
        for rule in self._rules_to_propose():
            check_each_line(rule.approval.signers)

    def lifetime(self) -> timedelta:
        """Return for how long what is proposed now can be approved. Raises ConfigurationError without a rule."""
        return min(rule.approval.expires for rule in self._rules_to_propose())

    def _rules_to_propose(self) -> list[Rule]:
        rules = self._rules()
        if not rules:
            raise refusals.nobody_could_approve()
        return rules

    def _standing(self, batch: Batch | None) -> Standing | None:
        """Return how a recorded batch stands that is about to be edited; None where no proposal of it counts."""
        proposal = self._ledger.proposal(batch.id) if batch else None
        if batch is None or proposal is None or not self._ledger.tally(batch).any(State.PREPARED):
            return None
        if not self.is_current(batch, proposal):
            return None
        return Standing(proposal.proposer, *self.approved_by(batch, proposal))

    def _rules(self) -> list[Rule]:
        return [Rule(each, each.rules.approval) for each in self.policies() if each.rules.approval is not None]

    def _due(self, sums: Mapping[str, int]) -> list[Rule]:
        return [rule for rule in self._rules() if rule.approval.is_due(sums)]

    def _costs(self, batch: Batch) -> dict[str, int]:
        """Return what a recorded batch costs, minor units by the currency of the balance that pays."""
        shares, tally = self._ledger.spent_in_batch(batch.id), self._ledger.tally(batch)
        is_unknown = False
        if {share.currency for share in shares} != set(tally.sums(COSTING)):  # something is converted
            orders = self._ledger.orders(batch, [State.PREPARED])
            is_unknown = any(self._ledger.has_unknown_cost(order.id) for order in orders)
        return _sums(shares, is_unknown=is_unknown)

    @property
    def _ledger(self) -> Ledger:
        if self.ledger is None:
            raise ValueError("nothing is recorded yet")
        return self.ledger

    def _now(self) -> datetime:
        return self._ledger.shared_time(self.clock.now())

    # --- before a recorded batch is sent -------------------------------------------------------------------------

    def check(self, batch: Batch) -> Granted:
        """Check that what was never sent of a recorded batch may be sent.

        Raises GuardRefused where it is not approved, and ConfigurationError where that cannot be told.
        """
        policies = tuple(each.sha256 for each in self.policies())
        if not self._ledger.tally(batch).any(State.PREPARED):
            return Granted(None, policies)
        sums = self._costs(batch)
        due, proposal = self._due(sums), self._ledger.proposal(batch.id)
        if proposal is None:
            for rule in due:
                raise refusals.needed(rule, _known(sums), batch.name, is_recorded=True)
            return Granted(None, policies)
        if not self.is_as_proposed(batch, proposal):
            if due:
                raise refusals.changed(batch)
            return Granted(None, policies)
        rules = due or self._rules()  # what was proposed waits for approval, whether it had to be proposed or not
        if not rules:
            raise refusals.no_rules(batch)
        return Granted(min(self._check_rule(rule, batch, proposal) for rule in rules), policies, proposal.id)

    def check_again(self, batch: Batch, granted: Granted) -> Granted:
        """Check, in the transaction that marks an order as sent, that the batch may still be sent.

        Returns by what. Raises GuardRefused, and ConfigurationError.
        """
        if tuple(each.sha256 for each in self.policies()) != granted.policies:
            granted = self.check(batch)
        if granted.until is not None and self._now() > granted.until:
            raise refusals.expired(batch, granted.until)
        return granted

    def _check_rule(self, rule: Rule, batch: Batch, proposal: Proposal) -> datetime:
        """Return until when a proposal counts by a rule. Raises GuardRefused where too few have signed it."""
        until = self._check_time(rule, batch, proposal)
        if proposal.facts.get("account") != self.account:
            raise refusals.other_account(batch, proposal, self.account)
        signed, lost = set[str](), list[str]()
        for approval in self._ledger.approvals(proposal):
            try:
                signature = ssh_signature.parse_signature(approval.signature)
                signed.add(self._signers(rule, batch, proposal, signature)[0])
            except (GuardRefused, ValueError) as refused:
                lost.append(f"The signature of {approval.principal} does not count any more: {refused}")
        if len(signed) < rule.approval.count:
            raise refusals.not_approved(batch, rule, proposal, sorted(signed), lost)
        return until

    def _check_time(self, rule: Rule, batch: Batch, proposal: Proposal) -> datetime:
        """Return when a proposal expires: as was signed, or earlier if the policy says so by now. Raises GuardRefused.

        It is counted from the proposal, for a signature does not tell when it was made.
        """
        until = _until([rule], proposal)
        if self._now() > until:
            raise refusals.expired(batch, until)
        return until

    def valid_until(self, proposal: Proposal) -> tuple[datetime, bool]:
        """Return when a proposal expires by all rules, and whether it has. Where none is in force, as was signed."""
        until = _until(self._rules(), proposal)
        return until, self._now() > until

    def is_as_proposed(self, batch: Batch, proposal: Proposal) -> bool:
        """Tell whether a proposal is about this batch of this ledger, and about all that is in it."""
        expected = {
            "ledger": self._ledger.id,
            "environment": batch.environment,
            "batch": exact_json.dumps_for_display(batch.name),
            "proposer": proposal.proposer,
            "content": self._ledger.content_digest(batch.id),
        }
        # An older proposal tells its time to the microsecond.
        times = {to_timestamp(proposal.at), *([] if proposal.at.microsecond else [whole_seconds(proposal.at)])}
        return expected.items() <= proposal.facts.items() and proposal.facts.get("at") in times

    def check_not_expired(self, batch: Batch, proposal: Proposal) -> None:
        """Check that there is time left to approve and send a proposal, as was signed and by now. Raises GuardRefused.

        A policy is not needed for it: whoever only reads the statement may have none.
        """
        until, has_expired = self.valid_until(proposal)
        if has_expired:
            raise refusals.expired(batch, until)

    def is_current(self, batch: Batch, proposal: Proposal) -> bool:
        """Tell whether a proposal can still be approved and sent, so that no new one is needed."""
        try:
            self.check_not_expired(batch, proposal)
        except GuardRefused:
            return False
        return proposal.facts.get("account") == self.account and self.is_as_proposed(batch, proposal)

    # --- a signature ---------------------------------------------------------------------------------------------

    def current(self, batch: Batch) -> Proposal:
        """Return the proposal of a batch as it is. Raises GuardRefused where there is none."""
        proposal = self._ledger.proposal(batch.id)
        if proposal is None:
            raise refusals.not_proposed(batch)
        if not self.is_as_proposed(batch, proposal):
            raise refusals.changed(batch)
        return proposal

    def signer(self, batch: Batch, proposal: Proposal, signature: Signature) -> str:
        """Return the name of whoever has signed a proposal, as a file of signers has it.

        Raises GuardRefused where the signature does not count, and ConfigurationError.
        """
        first: GuardRefused | None = None
        for rule in self._rules():
            try:
                self._check_time(rule, batch, proposal)
                return self._signers(rule, batch, proposal, signature)[0]
            except GuardRefused as refused:
                first = first or refused
        raise first or refusals.no_rules(batch)

    def approved_by(self, batch: Batch, proposal: Proposal) -> tuple[list[str], int]:
        """Return who has signed a proposal, and how many must, by the rule that asks for most."""
        due = self._due(self._costs(batch)) or self._rules()
        return self._ledger.signed_by(proposal), max((rule.approval.count for rule in due), default=1)

    def counting(self, batch: Batch, proposal: Proposal) -> list[str]:
        """Return whose recorded signatures of a proposal count by every rule. Raises ConfigurationError."""
        rules = self._rules()
        counting = (
            approval.principal
            for approval in self._ledger.approvals(proposal)
            if all(self._counts(rule, batch, proposal, approval) for rule in rules)
        )
        return [*dict.fromkeys(counting)]

    def _counts(self, rule: Rule, batch: Batch, proposal: Proposal, approval: Approval) -> bool:
        try:
            self._signers(rule, batch, proposal, ssh_signature.parse_signature(approval.signature))
        except (GuardRefused, ValueError):
            return False
        return True

    def _signers(self, rule: Rule, batch: Batch, proposal: Proposal, signature: Signature) -> tuple[str, ...]:
        """Return whose signature it is: one name or more. Raises GuardRefused where it does not count by a rule."""
        if signature.namespace != NAMESPACE:
            raise refusals.wrong_namespace(batch, signature.namespace, NAMESPACE)
        signers = rule.approval.signers
        found = ssh_signature.verify(signature, statement_of(proposal.facts), signers, NAMESPACE)
        if not found.known:
            raise refusals.unknown_signer(batch, signature.key, signers, found.reason, found.mistakes)
        if not found.principals:
            raise refusals.other_statement(batch, found.reason)
        for name in found.principals:
            if _is_same_person(name, {proposal.user, batch.user}):
                raise refusals.own_signature(batch, name)
        return found.principals


_UNKNOWN = "?"  # the currency of a price that nobody knows yet, which is above every amount


def _until(rules: Iterable[Rule], proposal: Proposal) -> datetime:
    signed = datetime.fromisoformat(proposal.facts["until"])
    return min([signed, *(proposal.at + rule.approval.expires for rule in rules)]).astimezone(UTC)


def _sums(shares: Iterable[Share], *, is_unknown: bool) -> dict[str, int]:
    sums = {_UNKNOWN: 1} if is_unknown else {}
    for share in shares:
        sums[share.currency] = sums.get(share.currency, 0) + share.amount
    return sums


def _known(sums: Mapping[str, int]) -> dict[str, Decimal]:
    return {currency: from_minor(minor, currency) for currency, minor in sums.items() if minor and currency != _UNKNOWN}


def _is_same_person(principal: str, users: set[str]) -> bool:
    """Tell whether a signer is one of these users of the system, by name or by the part of an address before the @."""
    names = {principal.casefold(), principal.casefold().partition("@")[0]}
    return any(user and user.casefold() in names for user in users)
