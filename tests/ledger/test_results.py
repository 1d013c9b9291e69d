"""What a result shows of a gift, from what the ledger has."""

import pytest

from runa_cli.ledger.results import payout_url


@pytest.mark.parametrize(
    ("issued", "url"),
    [
        ('{"id":"E-1","payout":{"url":"https://spend.example/1","status":"ACTIVE"}}', "https://spend.example/1"),
        ('{"payout":{"url":"https://spend.example/1"},"note":"half a character: \\ud83d"}', "https://spend.example/1"),
        ('{"payout":{"url":null}}', ""),
        ('{"payout":null}', ""),
        ("{}", ""),
        ("[]", ""),
    ],
)
def test_a_link_is_found_in_whatever_runa_has_answered(issued: str, url: str) -> None:
    assert url == payout_url(issued)
