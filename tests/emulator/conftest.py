"""An account of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runa_cli.emulator.account import Account
from runa_cli.emulator.store import Store
from tests.emulator.calls import Caller


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "emulator.db")
    yield opened
    opened.close()


@pytest.fixture
def caller(store: Store) -> Caller:
    return Caller(Account(store))
