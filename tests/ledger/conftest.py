"""A ledger of each engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runa_cli.config.ledger_address import LedgerAddress
from runa_cli.ledger.ledger import Ledger
from tests.support.postgres import Database


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger, of each engine."""
    address: LedgerAddress = tmp_path / "ledger.db"
    if request.param == "postgres":
        database: Database = request.getfixturevalue("database")
        address = database.address
    with Ledger(address) as opened:
        yield opened
