"""Rows of totals below a list, which are no gifts."""

import re
from collections.abc import Iterable
from decimal import Decimal

from runa_cli.core.identity import normalized_text

_LABEL = re.compile(
    r"(?:grand |sub|sub |sub-|zwischen|gesamt)?(?:total(?:e|es|s|en)?|sums?|summen?)"
    r"|gesamt(?:betrag)?|insgesamt|zwischensumme|endsumme|somme|suma|somma|totaal"
    r"|total (?:general|général|amount|value)"
    r"|(?:montant|importe|valor|importo) total|razem|итого|total(?:s)? \((?:[a-z]{3})\)"
)
_LEAST_ABOVE = 2  # one gift of the same value above is no sum


class Totals:
    """Adds up the values of a list, to tell whether its last one is their sum.

    A row with an address is a gift in any case.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._values = Decimal(0)
        self._with_quantity = Decimal(0)
        self.last_is_sum: tuple[int, int] | None = None  # where the last value is, if it is the sum of those above

    def add(self, value: Decimal, quantity: int, place: tuple[int, int], *, has_address: bool) -> None:
        """Add the value of the next row, given its line and its number."""
        is_sum = not has_address and (value == self._values or value == self._with_quantity)  # noqa: PLR1714 - a set would hash every value
        self.last_is_sum = place if is_sum and self._rows >= _LEAST_ABOVE else None
        self._rows += 1
        self._values += value
        self._with_quantity += value * quantity


def total_label(cells: Iterable[str]) -> str | None:
    """Return the cell that is the label of a row of totals; None where there is none."""
    return next((normalized_text(cell) for cell in cells if _is_label(cell)), None)


def _is_label(cell: str) -> bool:
    return _LABEL.fullmatch(normalized_text(cell).casefold().strip(" :=.*")) is not None
