"""The code of a country, from what people call it."""

import difflib
import gettext
import unicodedata
from collections.abc import Collection

from runa_cli.core.errors import UsageMistake
from runa_cli.core.masking import shown

_EVERYDAY = {  # names that ISO 3166 does not have
    **dict.fromkeys(("uk", "great britain", "britain", "england", "grossbritannien", "grande-bretagne"), "GB"),
    "uae": "AE",
    "holland": "NL",
    "korea": "KR",
    "america": "US",
}
_LANGUAGES = ("de", "fr", "es", "it", "nl", "pt", "pl")  # in which names are looked for where the English has none
_SIMILAR = 0.7  # of 1


def country_code(text: str, sold: Collection[str]) -> str:
    """Return the two letters of a country, given them, its three letters or its name. Raises UsageMistake.

    `sold` are the codes of the catalogue, which are taken as they are.
    """
    if text.upper() in sold:
        return text.upper()
    import pycountry  # imported late: it takes as long as a short command, and codes need none of it

    wanted, countries = _plain(text), list(pycountry.countries)
    codes = {
        _plain(name): country.alpha_2
        for country in countries
        for attribute in ("alpha_2", "alpha_3", "name", "common_name", "official_name")
        if (name := getattr(country, attribute, None))
    } | _EVERYDAY
    if wanted in codes:
        return codes[wanted]
    for language in _LANGUAGES:
        translate = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [language], fallback=True).gettext
        if found := [country.alpha_2 for country in countries if _plain(translate(country.name)) == wanted]:
            return str(found[0])
    names = {_plain(country.name): country.name for country in countries}
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=_SIMILAR)
    meant = f" Did you mean {names[near[0]]}?" if near else ""
    raise UsageMistake(
        f"--country: there is no country {shown(text)}.{meant}", "`runa product countries` shows the codes."
    )


def _plain(name: str) -> str:
    """Return a name without case and accents, to be compared."""
    letters = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
