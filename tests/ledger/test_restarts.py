"""In short what `python -m tests.restarts` does to ten thousand gifts."""

from pathlib import Path

import pytest

from tests import restarts
from tests.support import postgres

pytestmark = [pytest.mark.slow, pytest.mark.file_ledger("it has one of its own")]


@pytest.mark.usefixtures("postgres")
def test_a_batch_is_issued_once_while_its_server_is_stopped_and_started_again_and_again(tmp_path: Path) -> None:
    with postgres.server() as server:
        report = restarts.issue(server, tmp_path, count=120, orders=30, hosts=2)
    assert [] == report.faults
    assert report.restarts >= 1
