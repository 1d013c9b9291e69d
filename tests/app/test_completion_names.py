"""The names that the completion scripts offer are kept beside other caches, and are never worth an error."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.program import GIFT, Program


def kept(program: Program, name: str) -> list[str]:
    path = program.home / ".cache/runa" / f"names-{name}"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_a_create_keeps_the_names_of_batches_newest_first(program: Program, emulate: Emulate) -> None:
    emulate()
    for name in ("first", "second half"):
        path = sheet(program.home / f"{name}.csv", gifts(1, first=len(name)))
        assert 0 == program("order", "create", "--file", str(path), "--batch", name).code
    assert ["second half", "first"] == kept(program, "batches-local")
    assert ["local"] == kept(program, "environment")


def test_each_environment_has_its_own_names(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "here").code
    assert 0 == program(*GIFT, "--batch", "there", "--yes", RUNA_ENV="live", RUNA_API_KEY="wgtests.secret").code
    assert (["here"], ["there"]) == (kept(program, "batches-local"), kept(program, "batches-live"))
    assert ["live"] == kept(program, "environment")


def test_an_unfinished_batch_can_be_completed_too(program: Program, emulate: Emulate) -> None:
    emulate("lost-before@*")
    assert 7 == program(*GIFT, "--batch", "unlucky", "--timeout", "1").code
    assert ["unlucky"] == kept(program, "batches-local")


def test_a_dry_run_keeps_nothing(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "first", "--dry-run").code
    assert [] == kept(program, "batches-local")


def test_a_list_of_batches_brings_the_names_up_to_date(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    (program.home / ".cache/runa/names-batches-local").write_text("of another ledger\n")
    assert 0 == program("batch", "list").code
    assert ["first"] == kept(program, "batches-local")


def test_the_catalogue_gives_codes_and_those_of_plans_with_their_names(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program("product", "list", "-q").code
    lines = kept(program, "products-local")
    assert "AMZ-US\tAmazon.com" in lines
    assert "STREAM-US-3M\tSample streaming" in lines
    assert not any(line.startswith("STREAM-US\t") for line in lines)


def test_the_files_are_for_their_owner_only(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    directory = program.home / ".cache/runa"
    assert 0o700 == directory.stat().st_mode & 0o777
    assert {0o600} == {path.stat().st_mode & 0o777 for path in directory.iterdir()}


@pytest.mark.file_ledger("a name is changed in it")
def test_a_name_that_a_shell_would_show_otherwise_is_left_out(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    assert 0 == program(*GIFT, "--batch", "second", "--again").code
    with closing(sqlite3.connect(program.ledger, isolation_level=None)) as database:
        database.execute("UPDATE batch SET name = 'sec\u202eond\nfirst' WHERE name = 'second'")
    assert 0 == program("batch", "list").code
    assert ["first"] == kept(program, "batches-local")


def test_names_that_cannot_be_kept_are_no_error(program: Program, emulate: Emulate) -> None:
    emulate()
    Path(program.home / ".cache").write_text("no directory")
    ran = program(*GIFT, "--batch", "first")
    assert (0, False) == (ran.code, "Warning" in ran.err)
