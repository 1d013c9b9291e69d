"""A ledger that does not know everything that was issued from it is refused, and no hint advises another one."""

import fcntl
import json
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from runa_cli.ledger.high_water import Mark, MarkFile
from tests.conftest import Emulate
from tests.support.program import GIFT, Program, posts

Damage = Callable[[Path, Path], None]


def _older(path: Path, backup: Path) -> None:
    shutil.copy(backup, path)


def _empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def _another(path: Path, backup: Path) -> None:
    """Put a ledger in its place that has counted more changes."""
    other = Program(backup.parent / "other")
    other.home.mkdir()
    assert 0 == other(*GIFT, RUNA_ENV="local").code
    connection = sqlite3.connect(other.ledger)
    connection.execute("UPDATE ledger SET changes = 1000")
    connection.commit()
    connection.close()
    shutil.copy(other.ledger, path)


@pytest.mark.parametrize("damage", [_older, _empty, _another])
@pytest.mark.parametrize("command", [(*GIFT, "--batch", "third"), (*GIFT, "--dry-run"), ("batch", "list")])
def test_a_ledger_that_went_backwards_is_refused_until_a_person_has_looked(
    program: Program, emulate: Emulate, tmp_path: Path, damage: Damage, command: tuple[str, ...]
) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    shutil.copy(program.ledger, tmp_path / "backup.db")
    assert 0 == program(*GIFT, "--batch", "second").code
    damage(program.ledger, tmp_path / "backup.db")
    ran = program(*command, "--json")
    assert (4, "ledger_went_backwards", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert "orders up to number 2, gifts up to number 2" in ran.error["message"]
    assert str(program.mark) in ran.error["hint"]
    assert 2 == posts(emulator)


@pytest.mark.parametrize("killed_at", [None, "return:_publish", "call:Batches.record", "return:Batches.record"])
def test_a_ledger_that_is_gone_is_replaced_by_a_new_one_and_that_is_said(
    program: Program, emulate: Emulate, killed_at: str | None
) -> None:
    """What was issued under a name is found at Runa; for the rest, there is nothing to go by."""
    emulator = emulate()
    issued = program(*GIFT, "--batch", "first", "-o", "links")
    program.ledger.unlink()
    command = (*GIFT, "--batch", "first", "-o", "links")
    if killed_at:
        assert -9 == program.killed_at(killed_at, *command).code
    ran = program(*command)
    assert (0, issued.out, 1) == (ran.code, ran.out, posts(emulator)), ran.err
    if not killed_at:
        assert f"New ledger: {program.ledger}" in ran.err
        assert "is gone, with its orders up to number 1" in ran.err
    assert (0, 2) == (program(*GIFT, "--batch", "second", "--again").code, posts(emulator))
    assert "gone" not in program("batch", "list").err


def test_a_ledger_that_was_away_may_come_back(program: Program, emulate: Emulate) -> None:
    """Meanwhile a new one was made in its place, in which nothing was recorded."""
    emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    away = program.home / "away.db"
    program.ledger.rename(away)
    assert [] == program("batch", "list", "--json").json
    program.ledger.unlink()
    away.rename(program.ledger)
    assert 1 == len(program("batch", "list", "--json").json)


def test_an_older_copy_is_refused_even_after_another_ledger_took_its_place(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    copy = program.home / "copy.db"
    shutil.copy(program.ledger, copy)
    assert 0 == program(*GIFT, "--batch", "second", "--again").code
    program.ledger.unlink()
    assert [] == program("batch", "list", "--json").json
    ran = program(*GIFT, "--batch", "second", "--again", "--json", RUNA_LEDGER=str(copy))
    assert (4, "ledger_went_backwards", 2) == (ran.code, ran.error["code"], posts(emulator))
    shutil.copy(copy, program.ledger)
    assert (4, 2) == (program("batch", "list").code, posts(emulator))


def test_a_data_directory_that_is_restored_whole_is_recognised(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    backup = program.home / "backup"
    shutil.copytree(program.ledger.parent, backup)
    assert 0 == program(*GIFT, "--again").code
    shutil.rmtree(program.ledger.parent)
    shutil.copytree(backup, program.ledger.parent)
    ran = program(*GIFT, "--again", "--json")
    assert (4, "ledger_went_backwards", 2) == (ran.code, ran.error["code"], posts(emulator))


def test_a_dry_run_makes_no_ledger_in_place_of_one_that_is_gone(program: Program, emulate: Emulate) -> None:
    emulate()
    assert 0 == program(*GIFT).code
    program.ledger.unlink()
    assert 0 == program(*GIFT, "--dry-run").code
    assert not program.ledger.exists()


def test_an_older_copy_is_refused_under_another_path_too(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    copy = program.home / "copy.db"
    shutil.copy(program.ledger, copy)
    assert 1 == len(program("batch", "list", "--json", RUNA_LEDGER=str(copy)).json)
    assert 0 == program(*GIFT, "--batch", "second", "--again").code
    ran = program(*GIFT, "--batch", "second", "--again", "--json", RUNA_LEDGER=str(copy))
    assert (4, "ledger_went_backwards", 2) == (ran.code, ran.error["code"], posts(emulator))


def test_a_ledger_that_was_copied_elsewhere_names_the_one_that_goes_on(program: Program, emulate: Emulate) -> None:
    """An old line of cron without the new RUNA_LEDGER would pay what the new ledger has paid."""
    emulator = emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    moved = {"RUNA_LEDGER": str(program.home / "moved.db")}
    assert 0 == program("ledger", "copy", "--from", str(program.ledger), **moved).code
    assert 0 == program(*GIFT, "--batch", "second", "--again", **moved).code
    refused = program(*GIFT, "--batch", "third", "--again", "--json")
    assert (4, "ledger_went_backwards") == (refused.code, refused.error["code"])
    assert f"Set RUNA_LEDGER to {moved['RUNA_LEDGER']}" in refused.error["hint"]
    checked = program("ledger", "check", "--json")
    assert (6, "not_confirmed") == (checked.code, checked.error["code"])
    assert 4 == program(*GIFT, "--batch", "third", "--again").code
    assert 0 == program(*GIFT, "--batch", "third", "--again", **moved).code
    assert 3 == posts(emulator)


def test_a_ledger_left_behind_by_one_that_is_lost_is_read_back_after_a_yes(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    moved = {"RUNA_LEDGER": str(program.home / "moved.db")}
    assert 0 == program("ledger", "copy", "--from", str(program.ledger), **moved).code
    assert 0 == program(*GIFT, "--batch", "second", "--again", **moved).code
    assert 0 == program("ledger", "check", "--yes").code
    assert 0 == program(*GIFT, "--batch", "second").code
    assert 2 == posts(emulator)
    gone = program(*GIFT, "--batch", "third", "--again", "--json", **moved)
    assert (4, "ledger_went_backwards") == (gone.code, gone.error["code"])


def test_a_ledger_without_its_wal_file_is_refused_and_the_newer_one_can_be_restored(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    reader = sqlite3.connect(program.ledger)  # keeps the -wal file, as a second process does
    reader.execute("SELECT count(*) FROM gift").fetchall()
    assert 0 == program(*GIFT, "--batch", "second").code
    shutil.copytree(program.ledger.parent, tmp_path / "whole")
    reader.close()
    for path in program.ledger.parent.glob("ledger.db*"):
        path.unlink()
    shutil.copy(tmp_path / "whole/ledger.db", program.ledger)
    ran = program("batch", "list", "--json")
    assert (4, "ledger_went_backwards") == (ran.code, ran.error["code"])
    assert "it holds orders up to number 1" in ran.error["message"]
    assert "it held orders up to number 2" in ran.error["message"]
    shutil.copy(tmp_path / "whole/ledger.db-wal", program.ledger.with_name("ledger.db-wal"))
    assert 2 == len(program("batch", "list", "--json").json)


def test_deleting_the_mark_accepts_the_ledger_as_it_is(program: Program, emulate: Emulate, tmp_path: Path) -> None:
    emulate()
    assert 0 == program(*GIFT, "--batch", "first").code
    shutil.copy(program.ledger, tmp_path / "backup.db")
    assert 0 == program(*GIFT, "--batch", "second").code
    shutil.copy(tmp_path / "backup.db", program.ledger)
    program.mark.unlink()
    assert 1 == len(program("batch", "list", "--json").json)
    assert 1 == json.loads(program.mark.read_text())["orders"]
    assert 0o600 == program.mark.stat().st_mode & 0o777


def test_the_mark_is_never_ahead_of_the_ledger(program: Program, emulate: Emulate) -> None:
    """A run that is killed anywhere between the record and the mark leaves a ledger that is used as before."""
    emulate()
    for point in (
        "return:Batches._record",
        "call:MarkFile.advance",
        "return:MarkFile.advance",
        "call:Orders.mark_sent",
    ):
        assert -9 == program.killed_at(point, *GIFT, "--batch", point).code
        assert 0 == program(*GIFT, "--batch", point).code


def test_a_copy_from_before_an_order_was_sent_is_refused(program: Program, emulate: Emulate, tmp_path: Path) -> None:
    """The run that sends it is killed before its first byte, so it closes nothing in good order."""
    emulator = emulate()
    assert -9 == program.killed_at("call:Orders.mark_sent", *GIFT, "--batch", "bonus").code
    with closing(sqlite3.connect(program.ledger)) as source, closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        source.backup(copy)
    assert -9 == program.killed_at("call:Client.create_order", *GIFT, "--batch", "bonus").code
    for part in program.ledger.parent.glob("ledger.db*"):
        part.unlink()
    shutil.copy(tmp_path / "copy.db", program.ledger)
    ran = program(*GIFT, "--batch", "bonus", "--json")
    assert (4, "ledger_went_backwards", 0) == (ran.code, ran.error["code"], posts(emulator))


def test_marks_written_at_once_leave_the_furthest(tmp_path: Path) -> None:
    def advance(changes: int) -> None:
        MarkFile(tmp_path, tmp_path / "ledger.db").advance(Mark("id", changes, 1, 1))

    numbers = [number * 7919 % 400 for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(advance, numbers))
    assert Mark("id", 399, 1, 1) == MarkFile(tmp_path, tmp_path / "ledger.db").read().own


def test_a_mark_is_not_written_while_another_process_writes_it(tmp_path: Path) -> None:
    file = MarkFile(tmp_path, tmp_path / "ledger.db")
    file.advance(Mark("id", 5, 1, 1))
    text = file.path.read_text()
    late = Thread(target=file.advance, args=(Mark("id", 6, 1, 1),))
    with file.path.open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        late.start()
        late.join(0.3)
        assert late.is_alive()
        other.write(text.replace(f"{5:>15}", f"{7:>15}", 1))
    late.join()
    assert Mark("id", 7, 1, 1) == file.read().own


def test_a_mark_is_not_replaced_by_that_of_an_older_copy(tmp_path: Path) -> None:
    file = MarkFile(tmp_path, tmp_path / "ledger.db")
    for mark in (Mark("id", 7, 3, 9), Mark("id", 5, 2, 8)):
        file.advance(mark)
        assert Mark("id", 7, 3, 9) == file.read().own


def test_a_mark_file_that_a_crash_left_empty_is_no_mark(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    program.mark.write_bytes(b"")
    assert 0 == program(*GIFT, "--again").code
    assert (2, 2) == (posts(emulator), json.loads(program.mark.read_text())["orders"])


def test_an_edit_that_leaves_fewer_orders_is_no_step_backwards(program: Program, emulate: Emulate) -> None:
    """It deletes recorded orders that were never sent; their numbers are given again."""
    emulate()
    rows = ["face_value,email,product,description", *(f"10,p{n}@example.com,AMZ-US,part {n}" for n in range(5))]
    path = program.home / "gifts.csv"
    path.write_text("\n".join(rows))
    command = ("order", "create", "--file", str(path), "--batch", "bonus", "--no-preflight")
    assert -9 == program.killed_at("return:Batches.record", *command).code
    path.write_text("\n".join(rows[:2]))
    assert -9 == program.killed_at("return:Batches.amend", *command).code
    assert 0 == program(*command).code


def test_a_mark_that_cannot_be_written_is_reported_once_and_costs_nothing(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    elsewhere = {"RUNA_LEDGER": str(program.home / "elsewhere.db"), "XDG_STATE_HOME": "/dev/null"}
    ran = program(*GIFT, "-o", "links", **elsewhere)
    assert (0, 1, 1) == (ran.code, posts(emulator), ran.err.count("it will not be noticed"))
    assert ran.out


def test_a_damaged_mark_is_refused(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    program.mark.write_text("{")
    ran = program(*GIFT, "--again", "--json")
    assert (4, "ledger_unusable", 1) == (ran.code, ran.error["code"], posts(emulator))
    assert str(program.mark) in ran.error["message"]


def test_an_empty_file_is_no_ledger(program: Program, emulate: Emulate) -> None:
    """A file of no length in a ledger's place is what a crash or a full disk left of one."""
    emulator = emulate()
    path = program.home / "mine.db"
    path.touch()
    ran = program(*GIFT, "--json", RUNA_LEDGER=str(path))
    assert (4, "ledger_unusable", 0) == (ran.code, ran.error["code"], posts(emulator))
    assert "empty" in ran.error["message"]
    assert 0 == path.stat().st_size


def test_no_new_ledger_takes_over_what_is_left_of_a_lost_one(program: Program, emulate: Emulate) -> None:
    emulate()
    path = program.home / "mine.db"
    path.with_name("mine.db-wal").write_bytes(b"changes")
    ran = program(*GIFT, "--json", RUNA_LEDGER=str(path))
    assert (4, "ledger_unusable", False) == (ran.code, ran.error["code"], path.exists())


def test_a_run_that_is_killed_while_it_makes_a_ledger_leaves_none(program: Program, emulate: Emulate) -> None:
    emulate()
    for point in ("call:_migrate", "return:_migrate", "call:_publish"):
        assert -9 == program.killed_at(point, *GIFT).code
        assert not program.ledger.exists()
    for point in ("return:_publish", "call:_choose_journal_mode"):
        assert -9 == program.killed_at(point, *GIFT).code
    assert 0 == program(*GIFT).code


def test_a_new_ledger_is_announced(program: Program, emulate: Emulate) -> None:
    emulate()
    path = program.home / "mine.db"
    new = f"New ledger: {path}"
    assert new in program(*GIFT, RUNA_LEDGER=str(path)).err.splitlines()
    assert new not in program(*GIFT, "--again", RUNA_LEDGER=str(path)).err
    for silent, announced in (("--quiet", False), ("--json", False), ("--verbose", True)):
        path.unlink()
        for mark in (program.home / ".local/state/runa").glob("ledger-mark-*"):
            mark.unlink()
        for more in program.home.glob("mine.db-*"):
            more.unlink()
        ran = program(*GIFT, silent, "--json", RUNA_LEDGER=str(path))
        assert (0, announced) == (ran.code, new in ran.err)
        assert announced or not ran.err


def _directory(path: Path) -> None:
    path.mkdir()


def _dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere.db"))


def _foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (id)")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"no database at all" * 1000), Path.touch, _directory, _dangling_link,
        _foreign_database,
    ],
)  # fmt: skip
def test_no_hint_advises_another_ledger(program: Program, emulate: Emulate, make: Callable[[Path], None]) -> None:
    emulator = emulate()
    path = program.home / "mine.db"
    make(path)
    ran = program(*GIFT, "--json", RUNA_LEDGER=str(path))
    assert (4, "ledger_unusable", 0) == (ran.code, ran.error["code"], posts(emulator))
    assert ran.error["hint"].startswith("Nothing is sent without it.")
    assert not [word for word in ("another file", "a new ledger", "of its own") if word in ran.error["hint"]]
