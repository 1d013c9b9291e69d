"""The product codes that somebody may have meant by a code that is in no catalogue."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from runa_cli.api.countries import COUNTRY_CURRENCY, code_country

MOST = 3  # suggestions: more are no help
MOST_CODES = 50  # different wrong codes that are compared with the whole catalogue, which takes some time for each
_SIMILAR = 0.75  # of 1: a letter or two of a short code differ
_LEAST_BRAND = 3  # letters, below which too many names begin alike


class NotInCatalogue:
    """Says of codes that the catalogue does not have them, and which may be meant.

    `names` are the names of the catalogue's products by code.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._said: dict[tuple[str, frozenset[str]], str] = {}

    def __call__(self, code: str, others: Iterable[str] = ()) -> str:
        """Return the sentence about a code; `others` are codes beside it."""
        asked = code, frozenset(found for other in others if (found := code_country(other)))
        if asked not in self._said:
            if len(self._said) == MOST_CODES:
                return f"{code} is not in the catalogue"
            meant = listed(suggestions(code, self._names, others))
            self._said[asked] = f"{code} is not in the catalogue" + (f" (did you mean {meant}?)" if meant else "")
        return self._said[asked]


def suggestions(code: str, names: Mapping[str, str], others: Iterable[str] = ()) -> list[str]:
    """Return the codes that were most likely meant, the likeliest first.

    Those are: the same but for case and punctuation, else those of the brand of that name, else similar ones. `names`
    are those of the products by code; `others` are codes beside it, whose country is preferred.
    """
    stem, told = _without_country(code)
    countries = {told} if told else {code_country(other) for other in others} - {None}
    plain = _plain(code)
    if same := [known for known in names if _plain(known) == plain]:
        return same[:MOST]
    of_brand = [known for known, name in names.items() if _plain(name).startswith(stem)]
    if of_brand and len(stem) >= _LEAST_BRAND:
        return _ranked([known for known in of_brand if code_country(known) in countries] or of_brand)
    by_plain = {_plain(known): known for known in names}
    return [by_plain[found] for found in difflib.get_close_matches(plain, by_plain, n=MOST, cutoff=_SIMILAR)]


def listed(codes: Sequence[str]) -> str:
    """Return codes as a list of alternatives; empty where there are none."""
    return f"{', '.join(codes[:-1])} or {codes[-1]}" if len(codes) > 1 else "".join(codes)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())


def _without_country(code: str) -> tuple[str, str | None]:
    """Return a code as plain letters and digits without its country, and the country."""
    stem, _, suffix = code.upper().replace("_", "-").rpartition("-")
    return (_plain(stem), suffix) if stem and suffix in COUNTRY_CURRENCY else (_plain(code), None)


def _ranked(codes: Sequence[str]) -> list[str]:
    """Return the first codes, those of the countries with the most products in front."""
    return sorted(codes, key=lambda code: (code_country(code) not in {"US", "GB"}, code))[:MOST]
