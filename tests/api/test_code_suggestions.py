"""A product code that is in no catalogue is answered with the codes that were most likely meant."""

import pytest

from runa_cli.api.code_suggestions import MOST_CODES, NotInCatalogue, suggestions

NAMES = {
    "AMZ-US": "Amazon.com",
    "AMZ-GB": "Amazon.co.uk",
    "AMZ-DE": "Amazon.de",
    "AMZ-MX": "Amazon",
    "AERIE-US": "Aerie",
    "800PET-US": "1-800-PetSupplies",
    "STREAM-US-3M": "Stream",
}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("amz-us", ["AMZ-US"]),
        ("AMZ_US", ["AMZ-US"]),
        ("amzus", ["AMZ-US"]),
        ("AMZN-US", ["AMZ-US"]),
        ("800PETS-US", ["800PET-US"]),
        ("AMAZON-US", ["AMZ-US"]),
        ("amazon.de", ["AMZ-DE"]),
        ("AMAZON", ["AMZ-GB", "AMZ-US", "AMZ-DE"]),
        ("AMAZON-FR", ["AMZ-GB", "AMZ-US", "AMZ-DE"]),
        ("AM", []),
        ("XYZZY", []),
        ("", []),
        ("-", []),
    ],
)
def test_the_nearest_codes_are_suggested(typed: str, meant: list[str]) -> None:
    assert meant == suggestions(typed, NAMES)


def test_the_country_of_the_other_codes_is_preferred() -> None:
    assert ["AMZ-MX"] == suggestions("AMAZON", NAMES, ["AMAZON", "LIVER-MX"])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("amz-us", "amz-us is not in the catalogue (did you mean AMZ-US?)"),
        ("AMAZON", "AMAZON is not in the catalogue (did you mean AMZ-GB, AMZ-US or AMZ-DE?)"),
        ("XYZZY", "XYZZY is not in the catalogue"),
    ],
)
def test_a_sentence_says_what_may_be_meant(typed: str, said: str) -> None:
    assert said == NotInCatalogue(NAMES)(typed)


def test_only_so_many_different_codes_are_compared_with_the_whole_catalogue() -> None:
    """A column of something else would otherwise take minutes."""
    said = NotInCatalogue(NAMES)
    assert all("did you mean" in said(f"amz-us{' ' * number}") for number in range(MOST_CODES))
    assert "did you mean" not in said("amz--us")
    assert "did you mean" in said("amz-us")
