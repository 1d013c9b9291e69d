"""The rules of a policy: limits on what is issued, lists of what is allowed, and from which amount on approval is due.

They are read strictly (policy_file.py): a rule that is not understood is an error, never no rule.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from runa_cli.core.money import format_money, from_minor
from runa_cli.issuing.policy_values import (
    read_amount,
    read_count,
    read_currencies,
    read_domains,
    read_duration,
    read_patterns,
    read_signers,
    read_tables,
    read_version,
    read_yes_or_no,
    read_zone,
)

Per = Literal["order", "batch", "day", "week", "month", "year", "all"]
RecipientKind = Literal["email", "reference"]


class Amount(NamedTuple):
    """An amount in the minor units of its currency (cents)."""

    minor: int
    currency: str

    def __str__(self) -> str:
        return format_money({self.currency: self.value})

    @property
    def value(self) -> Decimal:
        """The amount in the currency itself."""
        return from_minor(self.minor, self.currency)


def _amount(found: object) -> Amount:
    return Amount(*read_amount(found))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


PolicyAmount = Annotated[Amount, BeforeValidator(_amount)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(read_patterns)]


class Limit(_Strict):
    """At most `max` in each window of `per`; with `each`, for each recipient; with `products`, on these products.

    `max` is in the currency of the balance that pays, and nothing that another balance pays counts.
    """

    per: Per
    max: PolicyAmount
    each: Literal["recipient"] | None = None
    products: Patterns = ()

    def may_concern(self, products: str) -> bool:
        """Tell whether a choice of products, as the ledger writes it, may turn into one that this limit is about.

        What a product template or a pruned gift holds is not known, so that it may be any product.
        """
        if not self.products or not products or products.startswith(TEMPLATE):
            return True
        return any(matches(code, self.products) for code in products.split("|"))


class Allowed(_Strict):
    """What may be issued at all; an empty list allows everything.

    `currencies` are those of the balances that pay, `domains` those of addresses. `products` are patterns of codes, and
    of the ids of product templates. `links`: payout links, which have no address (by default where no domains are
    listed).
    """

    currencies: Annotated[tuple[str, ...], BeforeValidator(read_currencies)] = ()
    domains: Annotated[tuple[str, ...], BeforeValidator(read_domains)] = ()
    products: Patterns = ()
    links: Annotated[bool | None, BeforeValidator(read_yes_or_no)] = None

    @model_validator(mode="after")
    def _check_it_lists_something(self) -> "Allowed":
        if self.is_empty:  # which may have been meant to allow nothing
            raise ValueError("lists nothing")
        return self

    @property
    def allows_links(self) -> bool:
        """Whether payout links without an address may be made."""
        return not self.domains if self.links is None else self.links

    @property
    def is_empty(self) -> bool:
        """Whether everything is allowed."""
        return not (self.currencies or self.domains or self.products) and self.links is None


NOTHING_SAID = Allowed.model_construct()


class Approval(_Strict):
    """A batch above an amount needs signatures of other people.

    `signers` is the path of a file of allowed signers, as `ssh-keygen` reads it. `expires` is for how long a signature
    counts.
    """

    above: PolicyAmount
    count: Annotated[int, BeforeValidator(read_count)] = 1
    signers: Annotated[Path, BeforeValidator(read_signers)]
    expires: Annotated[timedelta, BeforeValidator(read_duration)] = timedelta(hours=72)

    def is_due(self, sums: Mapping[str, int]) -> bool:
        """Tell whether a batch of so much (minor units, by the currency of the balance that pays) needs approval.

        An amount in another currency cannot be compared, and needs approval whatever it is.
        """
        return any(
            minor > self.above.minor if currency == self.above.currency else minor > 0
            for currency, minor in sums.items()
        )


class Rules(_Strict):
    """All rules of a policy file. Windows are those of the calendar in `timezone`."""

    version: Annotated[int, BeforeValidator(read_version)]
    timezone: Annotated[ZoneInfo, BeforeValidator(read_zone)] = Field(default_factory=lambda: ZoneInfo("UTC"))
    recipient: RecipientKind = "email"
    limit: Annotated[tuple[Limit, ...], BeforeValidator(read_tables)] = ()
    allow: Allowed = NOTHING_SAID
    approval: Approval | None = None

    @model_validator(mode="after")
    def _check_it_rules_something(self) -> "Rules":
        if not self.limit and self.allow.is_empty and self.approval is None:
            raise ValueError("sets no rule: it needs a [[limit]], an [allow] or an [approval]")
        return self


class Policy(Struct, frozen=True):
    """A policy that is in force. `source` names where it was read from; `sha256` is the digest of its text."""

    rules: Rules
    source: str
    text: str
    sha256: str

    def facts_of(self, limit: Limit) -> dict[str, object]:
        """Return which limit it is, as machine formats have it."""
        return {
            "policy": self.source,
            "limit": self.number_of(limit),
            "per": limit.per,
            "each": limit.each,
            "products": list(limit.products) or None,
        }

    def number_of(self, limit: Limit) -> int:
        """Return which limit of the policy this one is, from 1."""
        return self.rules.limit.index(limit) + 1


TEMPLATE = "template:"  # before the id of a product template, where the ledger writes a choice of products


def matches(code: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a code matches one of the patterns (`*`, `?`, `[...]`), without regard to case."""
    return any(fnmatchcase(code.casefold(), pattern.casefold()) for pattern in patterns)
