"""How the limits of the policies stand, once what is asked for was found to be within them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:  # most have no policy, and what checks one is not loaded then
    from runa_cli.issuing.policy_asked import Asked
    from runa_cli.issuing.policy_standing import Standing, Weighed

UNNAMED = "gifts that name nobody"


class Weighing(Struct, frozen=True):
    """How the limits stand that are about what is asked for, all of which is within them."""

    limits: "Sequence[Weighed]" = ()
    asked: "Asked | None" = None

    @property
    def near(self) -> str:
        """Which limits come near, as text for people; empty where none does, or there is no policy."""
        found = (each.nearest for each in self.limits)
        return "; ".join(self._sentence(standing) for standing in found if standing and standing.is_near)

    @property
    def fact(self) -> str:
        """The same, and that it is within its limits where none comes near."""
        return self.near or ("within its limits" if self.limits else "")

    def _sentence(self, standing: "Standing") -> str:
        whose = ""
        if standing.payee is not None and self.asked is not None:
            name = self.asked.recipient(standing.policy.rules.recipient, standing.payee).name
            whose = f" for {name or UNNAMED}"
        left = standing.money(standing.limit.max.minor - standing.after)
        return f"{left} left{whose} of {standing.rule} ({standing.name})"


NOTHING_WEIGHED = Weighing()
