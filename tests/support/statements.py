"""What a ledger in a file sends to its database, and how SQLite would carry it out."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest


class Statements:
    """What the ledger sends to its database, with the marks of its parameters, and the plan of each statement."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sent: set[str] = set()
        sent = self.sent

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                sent.add(sql)
                return super().execute(sql, *values)

            def executemany(self, sql: str, *rows: Any) -> sqlite3.Cursor:
                sent.add(sql)
                return super().executemany(sql, *rows)

        patch.setattr("runa_cli.ledger.sqlite_file.sqlite3.connect", partial(sqlite3.connect, factory=Connection))

    def plans(self, path: Path) -> Iterator[tuple[str, list[str]]]:
        """Yield each statement that reads or changes rows with the lines of its plan."""
        for statement in sorted(self.sent):
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
                yield statement, plan(path, statement)


def plan(path: Path, statement: str) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * statement.count("?"))]


def reads_all(line: str) -> bool:
    """Tell whether a line of a plan is about every row of a table, or every row of an environment."""
    if "INDEX purchase_read_back" in line:  # which holds orders that a check has read back, until they are confirmed
        return False
    if line.startswith("SCAN"):
        # The table `ledger` has one row; the index holds unfinished orders only, and the other is what it was read to.
        # The last two are empty unless the ledger was restored, and have a row an environment then.
        few = (
            "SCAN ledger",
            "SCAN sqlite_master",
            "SCAN CONSTANT ROW",
            "SCAN unfinished",
            "SCAN found",
            "SCAN closed",
            "SCAN opened",
        )
        return not line.startswith(few) and "INDEX purchase_unfinished" not in line
    return bool(
        re.search(r"SEARCH (batch|purchase|gift) .*\((environment=\?|rowid[<>]\?)( AND (row)?id[<>]\?)?\)$", line)
    )
