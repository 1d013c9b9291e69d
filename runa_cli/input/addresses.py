"""Gifts without an address in a list that has addresses: nobody would be mailed, and a link would be made unnoticed."""

from runa_cli.input.problems import Place, Problems

_MISTAKE = "has no address, so that nobody would be mailed: add it, or --allow-links for a payout link"
_MOST_KEPT = 1_000  # places of gifts without an address, as long as there is no other


class Addresses:
    """Reports gifts without an address as soon as the list is known to have addresses."""

    def __init__(self, problems: Problems, *, allow_links: bool) -> None:
        self._problems = problems
        self._expected = False
        self._allow_links = allow_links
        self._without: list[Place] = []

    def expect(self) -> None:
        """Note that the list has addresses: gifts before this that have none are mistakes, too."""
        if self._expected:
            return
        self._expected = True
        for place in self._without:
            self._problems.add(place, _MISTAKE)
        self._without.clear()

    def is_missing(self, place: Place) -> bool:
        """Note that a gift has no address of its own and none of a flag. Tell whether that is known to be a mistake."""
        if self._allow_links:
            return False
        if self._expected:
            self._problems.add(place, _MISTAKE)
        elif len(self._without) < _MOST_KEPT:
            self._without.append(place)
        return self._expected
