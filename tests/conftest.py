"""What every test starts from: a program with an empty home, and emulators that end with the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from runa_cli.emulator.server import Emulator
from tests.support import postgres as postgres_support
from tests.support import shell_signals
from tests.support.program import KEY, Program
from tests.support.shared_time import EmulatorOnSharedTime

shell_signals.restore()

Emulate = Callable[..., Emulator]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests of the program run with its ledger on a server."""
    parser.addoption(
        "--ledger", choices=["sqlite", "postgres"], default="sqlite", help="where `program` has its ledger"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests out that need a server, where PostgreSQL is not installed."""
    if not postgres_support.is_left_out():
        return
    left_out = [item for item in items if "postgres" in getattr(item, "fixturenames", ())]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it, in one line."""
    if postgres_support.is_left_out():
        terminalreporter.write_line(
            f"The tests of a ledger on a server were left out: {postgres_support.NOT_INSTALLED}"
        )


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_support.Server]:
    """Run a PostgreSQL server, or skip the test."""
    with postgres_support.server() as server:
        yield server


@pytest.fixture
def database(postgres: postgres_support.Server) -> postgres_support.Database:
    """Return an empty ledger on a server."""
    return postgres.database()


@pytest.fixture
def program(tmp_path: Path, request: pytest.FixtureRequest) -> Program:
    """Return the program with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    if request.config.getoption("--ledger") == "sqlite":
        return Program(home)
    if mark := request.node.get_closest_marker("file_ledger"):
        pytest.skip(f"is about a ledger in a file: {mark.args[0]}")
    database: postgres_support.Database = request.getfixturevalue("database")
    return Program(home, {"RUNA_LEDGER": database.url}, database=database)


@pytest.fixture
def emulate(tmp_path: Path, program: Program) -> Iterator[Emulate]:
    """Start an emulator with faults, and point the program to it. A fault that was never met fails the test."""
    with ExitStack() as stack:
        started: list[Emulator] = []

        def start(*faults: str, **options: Any) -> Emulator:
            emulator = stack.enter_context(
                EmulatorOnSharedTime(
                    tmp_path / "account.db", program.time, faults=faults, **{"processing_seconds": 0.2, **options}
                )
            )
            started.append(emulator)
            program.env.update(RUNA_BASE_URL=emulator.url, RUNA_ENV="local", RUNA_API_KEY=KEY)
            return emulator

        yield start
        assert [[] for _ in started] == [emulator.unhit_faults for emulator in started]
