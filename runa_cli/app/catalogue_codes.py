"""What is known of product codes: by their endings, and by the catalogue, which is loaded where these do not tell."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runa_cli.api import countries
from runa_cli.app.session import Session
from runa_cli.core.errors import RunaError

if TYPE_CHECKING:
    from runa_cli.api.code_suggestions import NotInCatalogue
    from runa_cli.app.catalogue import KnownCode


class CatalogueCodes:
    """Knows product codes by the country they end in, or else by the catalogue, which is fetched where it is needed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._catalogue: Mapping[str, KnownCode] | None = None
        self._not_in_catalogue: NotInCatalogue | None = None

    def __call__(self, code: str) -> str | None:
        """Return the currency; None where it is unknown."""
        currency = countries.code_currency(code)
        if currency is not None:
            return currency
        if self._catalogue is None:
            from runa_cli.api.code_suggestions import NotInCatalogue
            from runa_cli.app.catalogue import known_codes

            try:
                self._catalogue = known_codes(self._session)
                names = {known: found.name for known, found in self._catalogue.items()}
                self._not_in_catalogue = NotInCatalogue(names)
            except RunaError as error:
                self._session.console.say(
                    f"The catalogue could not be fetched to find the currency of {code}: {error.message}"
                )
                self._catalogue = {}
        known = self._catalogue.get(code)
        return (known.currency or None) if known else None

    def unknown(self, code: str, others: Sequence[str]) -> str | None:
        """Say that a code is not in the catalogue, and which is meant; None where the catalogue is not at hand."""
        if self._not_in_catalogue is None or not self._catalogue or code in self._catalogue:
            return None
        return self._not_in_catalogue(code, others)
