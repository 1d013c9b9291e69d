"""The computer fails: disks, ledgers, clocks, signals. Nothing is sent unrecorded, and the next run goes on."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runa_cli.emulator.server import Emulator
from tests.conftest import Emulate
from tests.support.csv_files import gifts, links_by_address, rows_of, sheet
from tests.support.program import GIFT, KEY, KILLED_AT, Program, links_at, orders_at, posts, wait_for, wait_for_stopping
from tests.support.ran import LONGEST, Ran
from tests.support.system_faults import Disk, needs, signal_another_thread, tamper, tampered, without_privileges

Hand = Callable[["subprocess.Popen[str]", signal.Signals], None]

SENT_AND_KILLED = (*KILLED_AT, "return:Client.create_order")
DAY = 86400.0  # seconds
MANY = ("order", "create", "--face-value", "10", "--quantity", "60", "--product", "AMZ-US")


@pytest.mark.parametrize("kilobytes", [0, 4, 32, 64, 96, 100, 104, 112, 120, 128, 144, 160, 200, 300, 600])
def test_a_disk_that_is_full_at_any_point_costs_neither_money_nor_links(
    program: Program, emulate: Emulate, kilobytes: int
) -> None:
    """The system refuses to let any file grow beyond a size, before the record, in it, at the reply, or not at all."""
    emulator = emulate(processing_seconds=0)
    ran = program.fork(*MANY, "--json", largest_file=kilobytes * 1024)
    made = orders_at(emulator)
    assert ran.code in {0, 4, 7, 9}, ran.err
    assert "Traceback" not in ran.err
    if ran.code == 4:
        assert ([], "not_issued") == (made, ran.error["money"])
    if made and ran.code != 0:
        assert ran.error["money"] in {"unknown", "issued"}
    again = program(*MANY, "-o", "links")
    # After a run that ended well it is a duplicate, unless there was no room to note that the links were shown.
    assert again.code in ({0, 6} if ran.code == 0 and kilobytes < 600 else {6 if ran.code == 0 else 0}), again.err
    assert 1 == len(orders_at(emulator))
    if again.code == 0:
        assert links_at(emulator) == set(again.out.split())


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [4, 64, 140, 192, 256, 400])
def test_a_file_system_without_room_costs_neither_money_nor_links(
    program: Program, emulate: Emulate, kilobytes: int
) -> None:
    """Here the kernel itself says that the disk is full, to every file at once: too small, or full at the reply."""
    emulator = emulate(processing_seconds=0)
    with Disk(program.ledger.parent, kilobytes) as disk:
        ran = program.execute(disk.inside(program.command(*MANY, "--json"), program.home))
        made = len(orders_at(emulator))
        assert (ran.code, made) in {(0, 1), (4, 0), (7, 1)}, ran.err
        if ran.code:
            money = "not_issued" if ran.code == 4 else "unknown"
            assert ("ledger_unusable", money) == (ran.error["code"], ran.error["money"])
        disk.remount("size=4096k")
        again = program.execute(disk.inside(program.command(*MANY, "-o", "links"), program.home))
    assert again.code == (6 if ran.code == 0 else 0), again.err
    assert 1 == len(orders_at(emulator))
    if again.code == 0:
        assert links_at(emulator) == set(again.out.split())


@pytest.mark.slow
def test_a_disk_that_fills_up_while_an_order_is_in_flight_costs_no_link(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@1")
    with Disk(program.ledger.parent, 1024) as disk:
        running = start(program, disk.inside(program.command(*GIFT, "--json"), program.home))
        wait_for(lambda: posts(emulator) >= 1, running)
        disk.do(f"cat /dev/zero > {program.ledger.parent}/filler || true")
        emulator.hurry()
        ran = ended(running)
        assert (7, "ledger_unusable", "unknown") == (ran.code, ran.error["code"], ran.error["money"])
        disk.do(f"rm {program.ledger.parent}/filler")
        again = program.execute(disk.inside(program.command(*GIFT, "-o", "links"), program.home))
    assert 0 == again.code, again.err
    assert [links_at(emulator), 1] == [set(again.out.split()), len(orders_at(emulator))]


@pytest.mark.slow
def test_results_on_a_full_disk_are_left_out_whole_and_can_be_exported(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    directory = program.home / "results"
    with Disk(directory, 4) as disk:
        ran = program.execute(
            disk.inside(program.command(*MANY, "--batch", "bonus", "--results", "results/links.csv"), program.home)
        )
        assert [] == list(disk.seen(directory).iterdir())
    assert 9 == ran.code, ran.err
    assert "No space left on device" in ran.err
    assert links_at(emulator) == set(program("batch", "export", "bonus", "-o", "links").out.split())


def test_a_data_directory_that_cannot_be_written_means_that_nothing_is_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    for used in (False, True):
        program.ledger.parent.mkdir(parents=True, exist_ok=True)
        program.ledger.parent.chmod(0o500)
        ran = program.execute(without_privileges(program.command(*GIFT, "--again", "--json")))
        assert (4, "ledger_unusable", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
        program.ledger.parent.chmod(0o700)
        assert used == posts(emulator)
        assert 0 == program(*GIFT, "--again").code


def test_a_data_directory_that_cannot_be_entered_is_no_defect(program: Program, emulate: Emulate) -> None:
    """A dry run could not tell whether it was issued before."""
    emulate()
    assert 0 == program(*GIFT).code
    program.ledger.parent.parent.chmod(0)
    for command in ((*GIFT, "--dry-run"), ("batch", "list"), ("emulator", "reset"), ("emulator", "serve")):
        ran = program.execute(without_privileges(program.command(*command, "--json")))
        assert (4, "not_issued") == (ran.code, ran.error["money"])
    program.ledger.parent.parent.chmod(0o700)


@pytest.mark.slow
def test_a_read_only_file_system_means_that_nothing_is_sent_until_it_can_be_written(
    program: Program, emulate: Emulate
) -> None:
    """The second time an order of unknown outcome is in the ledger already: its money may have moved before."""
    emulator = emulate()
    with Disk(program.ledger.parent, 1024) as disk:

        def run(*arguments: str) -> Ran:
            return program.execute(disk.inside(program.command(*arguments), program.home))

        assert -9 == program.execute(disk.inside([*SENT_AND_KILLED, *GIFT], program.home)).code
        disk.remount("ro")
        ran = run(*GIFT, "--json")
        assert (4, 1) == (ran.code, posts(emulator))
        assert "Read-only file system" in ran.error["message"]
        disk.remount("rw")
        again = run(*GIFT, "-o", "links")
    assert 0 == again.code, again.err
    assert [links_at(emulator), 1] == [set(again.out.split()), len(orders_at(emulator))]


@pytest.mark.slow
@needs("strace")
@pytest.mark.parametrize("error", ["EROFS", "EIO"])
@pytest.mark.parametrize("calls", ["pwrite64,ftruncate,fdatasync,fsync", "fdatasync,fsync"])
def test_a_disk_that_fails_while_an_order_is_in_flight_costs_no_link(
    program: Program, emulate: Emulate, calls: str, error: str
) -> None:
    """As a file system that turns read-only under the program, or a disk that takes what it cannot keep."""
    emulator = emulate("slow:30@1")
    running = program.start(*GIFT, "--json")
    wait_for(lambda: posts(emulator) >= 1, running)
    watching = tamper(running, calls, f"error={error}")
    emulator.hurry()
    ran = ended(running)
    watching.communicate(timeout=LONGEST)
    assert (7, "", "ledger_unusable", "unknown") == (ran.code, ran.out, ran.error["code"], ran.error["money"])
    again = program(*GIFT, "-o", "links")
    assert 0 == again.code, again.err
    assert [links_at(emulator), 1] == [set(again.out.split()), len(orders_at(emulator))]


@pytest.mark.slow
@needs("strace")
def test_a_record_that_the_disk_does_not_keep_is_not_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    ran = program.execute(tampered(program.command(*GIFT, "--again", "--json"), "fdatasync,fsync", "error=EIO"))
    assert (4, "not_issued", 1) == (ran.code, ran.error["money"], posts(emulator))


@pytest.mark.slow
@needs("strace")
def test_a_ledger_that_is_held_too_long_means_that_nothing_is_sent(program: Program, emulate: Emulate) -> None:
    """Its sleeps return at once, so that the half minute which it waits is soon over."""
    emulator = emulate()
    assert 0 == program(*GIFT).code
    with held(program.ledger):
        impatient = tampered(program.command(*GIFT, "--again", "--json"), "clock_nanosleep", "retval=0")
        ran = program.execute(impatient)
    assert (4, "ledger_unusable", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert "database is locked" in ran.error["message"]
    assert 1 == posts(emulator)


@pytest.mark.slow
@needs("strace")
def test_a_ledger_that_is_held_too_long_for_the_reply_costs_no_link(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@1")
    running = start(program, tampered(program.command(*GIFT, "--json"), "clock_nanosleep", "retval=0"))
    wait_for(lambda: posts(emulator) >= 1, running)
    with held(program.ledger):
        emulator.hurry()
        ran = ended(running)
    assert (7, "ledger_unusable", "unknown") == (ran.code, ran.error["code"], ran.error["money"])
    again = program(*GIFT, "-o", "links")
    assert [0, links_at(emulator), 1] == [again.code, set(again.out.split()), len(orders_at(emulator))]


def _of_a_newer_version(path: Path) -> None:
    _execute(path, "PRAGMA user_version = 99")


def _with_a_page_of_zeros(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 8192) + content[-4096:])


def _of_another_program(path: Path) -> None:
    path.unlink()
    _execute(path, "CREATE TABLE batch (tea TEXT)")


def _a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _a_link(target: str) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return replace


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    path.chmod(0o644)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 1000), "not a database"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "not a database"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), "malformed"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4096]), "malformed"),
        (_with_a_page_of_zeros, "malformed"),
        (_of_a_newer_version, "newer runa"),
        (_of_another_program, "another program"),
        (_a_directory, "directory"),
        (_a_link("nowhere/ledger.db"), "a link to a file that does not exist"),
        (_a_link("ledger.db"), "a link to a file that does not exist"),
        (_a_pipe, "not a regular file"),
    ],
)
def test_a_ledger_that_is_none_means_that_nothing_is_sent_and_it_stays_as_it_was(
    program: Program, emulate: Emulate, damage: Callable[[Path], None], said: str
) -> None:
    """A new ledger in its place would not know what was issued; and a device would be nobody else's any more."""
    emulator = emulate()
    assert 0 == program(*GIFT).code
    damage(program.ledger)
    before = _look_of(program.ledger)
    ran = program(*GIFT, "--json")
    assert (4, "ledger_unusable", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert said in ran.error["message"]
    assert [before, 1] == [_look_of(program.ledger), posts(emulator)]
    assert not (program.ledger.parent / "nowhere").exists()


def test_a_ledger_that_is_damaged_while_an_order_is_in_flight_leaves_the_money_unknown(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate("slow:30@1")
    running = start(program, program.command(*GIFT, "--json"))
    wait_for(lambda: posts(emulator) >= 1, running)
    for path in program.ledger.parent.glob("ledger.db*"):
        path.write_bytes(b"x" * path.stat().st_size)
    emulator.hurry()
    ran = ended(running)
    assert (7, "ledger_unusable", "unknown") == (ran.code, ran.error["code"], ran.error["money"])
    assert 1 == len(orders_at(emulator))


def _look_of(path: Path) -> tuple[int, bytes]:
    return path.lstat().st_mode, path.read_bytes() if path.is_file() else b""


def _execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_many_processes_begin_a_new_ledger_together(program: Program) -> None:
    """The journal mode is chosen once, and the one statement that does so waits for nobody by itself."""
    script = (
        "import sys; from pathlib import Path; from runa_cli.ledger.ledger import Ledger\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin: Ledger(Path(line.strip())).close(); print('open', flush=True)"
    )
    crew = [start(program, [program.command()[0], "-c", script], stdin=subprocess.PIPE) for _ in range(6)]
    lines: list[str] = []
    for member in crew:
        assert member.stdout is not None
        lines.append(member.stdout.readline())
    for number in range(40):
        for member in crew:
            assert member.stdin is not None
            member.stdin.write(f"{program.home}/{number}.db\n")
            member.stdin.flush()
        for member in crew:
            assert member.stdout is not None
            lines.append(member.stdout.readline())
    assert [(0, "")] * 6 == [(member.communicate(timeout=LONGEST)[1], member.returncode)[::-1] for member in crew]
    assert {"ready\n", "open\n"} == set(lines)


@pytest.mark.parametrize("days", [-40, 3])
@pytest.mark.parametrize("name", [(), ("--batch", "bonus")])
def test_an_order_sent_under_a_wrong_clock_is_looked_up_and_not_sent_again(
    program: Program, emulate: Emulate, days: int, name: tuple[str, ...]
) -> None:
    """Its key may be older than Runa's memory of it, or was sent in the future: how old it is nobody knows."""
    emulator = emulate()
    program.fork(*GIFT, *name, killed_at="return:Client.create_order", skew=days * DAY)
    check_that_it_is_looked_up(program, emulator, name)


@pytest.mark.slow
@needs("faketime")
@pytest.mark.parametrize("days", [-40, 3])
@pytest.mark.parametrize("name", [(), ("--batch", "bonus")])
def test_an_order_sent_when_the_whole_computer_has_a_wrong_clock_is_looked_up_and_not_sent_again(
    program: Program, emulate: Emulate, days: int, name: tuple[str, ...]
) -> None:
    emulator = emulate()
    program.execute(["faketime", "-f", f"{days:+}d", *SENT_AND_KILLED, *GIFT, *name])
    check_that_it_is_looked_up(program, emulator, name)


def check_that_it_is_looked_up(program: Program, emulator: Emulator, name: tuple[str, ...]) -> None:
    assert [["sent"], 1] == [program.states(), posts(emulator)]
    ran = program(*GIFT, *name, "-o", "links")
    assert [1, 1] == [posts(emulator), len(orders_at(emulator))]
    assert 0 == ran.code, ran.err
    assert "was found at Runa" in ran.err
    assert links_at(emulator) == set(ran.out.split())


@pytest.mark.parametrize("days", [-400, 400])
def test_what_was_issued_is_known_whatever_the_clock_says(program: Program, emulate: Emulate, days: int) -> None:
    emulator = emulate()
    first = program(*GIFT, "--batch", "bonus", "-o", "links")
    again = program.fork(*GIFT, "--batch", "bonus", "-o", "links", skew=days * DAY)
    assert [(0, first.out), 1] == [(again.code, again.out), posts(emulator)]
    if days < 0:  # typed again before it was typed at all
        assert (6, 1) == (program.fork(*GIFT, "--json", skew=days * DAY).code, posts(emulator))


@pytest.mark.slow
@needs("faketime")
@pytest.mark.parametrize("days", [-400, 400])
def test_what_was_issued_is_known_whatever_the_clock_of_the_computer_says(
    program: Program, emulate: Emulate, days: int
) -> None:
    emulator = emulate()
    first = program(*GIFT, "--batch", "bonus", "-o", "links")
    jumped = ["faketime", "-f", f"{days:+}d", *program.command(*GIFT, "--batch", "bonus", "-o", "links")]
    again = program.execute(jumped)
    assert [(0, first.out), 1] == [(again.code, again.out), posts(emulator)]
    if days < 0:  # typed again before it was typed at all
        jumped[3:] = program.command(*GIFT, "--json")
        assert (6, 1) == (program.execute(jumped).code, posts(emulator))


@pytest.mark.parametrize("closed", ["<&-", "</dev/null"])
def test_without_standard_input_nobody_can_say_yes_and_nothing_hangs(
    program: Program, emulate: Emulate, closed: str
) -> None:
    emulator = emulate()

    def run(*arguments: str, **env: str) -> Ran:
        if closed == "<&-":
            return program.fork(*arguments, env=env, closed=(0,))
        with Path("/dev/null").open() as nothing:
            return program.fork(*arguments, env=env, stdin=nothing.fileno())

    live = {"RUNA_ENV": "live", "RUNA_API_KEY": "wgtests.secret"}
    assert (6, "not_confirmed") == ((ran := run(*GIFT, "--json", **live)).code, ran.error["code"])
    assert 3 == run("order", "create", "--file", "-", "--product", "AMZ-US").code
    assert 0 == posts(emulator)
    assert 0 == run(*GIFT).code
    assert ["completed"] == program.states()
    in_a_shell = f"exec {' '.join(program.command(*GIFT, '--again'))} {closed}"
    assert 0 == program.execute(["bash", "-c", in_a_shell]).code


def test_an_order_is_issued_from_a_directory_that_is_gone(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    gone = program.home / "gone"
    gone.mkdir()
    paths = f"PYTHONSAFEPATH=1 PYTHONPATH={Path(__file__).parents[2]}"
    command = " ".join(program.command(*GIFT, "--batch", "bonus", "-o", "links"))
    in_vain = program.execute(["bash", "-c", f"cd {gone} && rmdir {gone} && {paths} {command} --results links.csv"])
    assert (2, 0) == (in_vain.code, posts(emulator)), in_vain.err
    gone.mkdir()
    ran = program.execute(["bash", "-c", f"cd {gone} && rmdir {gone} && {paths} {command}"])
    assert 0 == ran.code, ran.err
    assert links_at(emulator) == set(ran.out.split())


@pytest.mark.slow
def test_a_user_without_a_home_is_told_what_to_export(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    nobody = ["unshare", "--user", "--map-user=54321", "--map-group=54321", "env", "-u", "HOME"]
    if program.execute([*nobody, "true"]).code:
        pytest.skip("this system allows no name space of users, and so no user without a home")
    command = program.command(*GIFT, "--json")
    ran = program.execute([*nobody, *command])
    assert (4, "not_issued", 0) == (ran.code, ran.error["money"], posts(emulator))
    assert "HOME" in ran.error["hint"]
    named = program.execute([*nobody, *command], RUNA_LEDGER=str(program.home / "ledger.db"))
    assert [0, 1] == [named.code, posts(emulator)], named.err


NO_LOCALE = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}  # as where no UTF-8 exists at all


@pytest.mark.parametrize(
    "locale",
    [
        pytest.param({"LC_ALL": "C"}, marks=pytest.mark.slow),
        pytest.param({"LC_ALL": "POSIX"}, marks=pytest.mark.slow),
        {"LANG": "xx_XX.nonsense"},
        NO_LOCALE,
    ],
)
def test_names_of_any_language_need_no_locale(program: Program, emulate: Emulate, locale: dict[str, str]) -> None:
    emulator = emulate()
    path = program.home / "Geschenke für 客户.csv"
    path.write_text(
        "face_value,email,product,description,reference,Größe\n10,jürgen@exämple.com,AMZ-US,Grüße 客户,Ä1,größer\n"
    )
    file = ("--file", "-") if locale is NO_LOCALE else ("--file", path.name)
    name = "bonus" if locale is NO_LOCALE else "Prämie 客户"
    ran = program(
        "order", "create", *file, "--batch", name, "-o", "csv", "--results", "r.csv", stdin=path.read_text(), **locale
    )
    assert 0 == ran.code, ran.err
    assert ran.out == (program.home / "r.csv").read_text()
    (row,) = rows_of(ran.out)
    assert ("jürgen@exämple.com", "Ä1", "größer") == (row["email"], row["reference"], row["Größe"])
    assert ["Grüße 客户"] == [order["description"] for order in orders_at(emulator)]
    shown = program("batch", "export", name, **locale)
    assert 0 == shown.code, shown.err
    assert links_at(emulator) & set(shown.out.split())
    if locale is not NO_LOCALE:
        assert name in program("batch", "list", **locale).out
    else:
        assert 2 == program(*GIFT, "--batch", "Prämie", **locale).code


def test_a_ledger_that_another_program_holds_is_waited_for(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    connection = sqlite3.connect(program.ledger, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    running = program.start(*GIFT, "--again")
    threading.Timer(1.0, lambda: connection.execute("ROLLBACK")).start()
    running.communicate(timeout=LONGEST)
    connection.close()
    assert 0 == running.returncode
    assert 2 == len(orders_at(emulator))


def signal_process(running: "subprocess.Popen[str]", number: signal.Signals) -> None:
    running.send_signal(number)


@pytest.mark.parametrize("hand", [signal_process, signal_another_thread])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_batch_stopped_by_a_signal_says_where_it_stands_and_goes_on(
    program: Program, emulate: Emulate, number: signal.Signals, hand: Hand
) -> None:
    emulator = emulate("slow:30@4")
    path = sheet(program.home / "gifts.csv", gifts(6, orders=6))
    command = (
        "order",
        "create",
        "--file",
        str(path),
        "--batch",
        "bonus",
        "--concurrency",
        "1",
        "--no-preflight",
        "--json",
    )
    running = program.start(*command, "-v")
    wait_for(lambda: posts(emulator) == 4, running)
    hand(running, number)
    wait_for_stopping(running)
    emulator.hurry()
    _, err = running.communicate(timeout=LONGEST)
    assert 130 == running.returncode
    assert "interrupted" == json.loads(err.splitlines()[-1])["error"]["code"]
    assert 4 == posts(emulator)
    again = program(*command[:-1], "-o", "csv")
    assert 0 == again.code, again.err
    assert {row["email"]: [row["payout_url"]] for row in rows_of(again.out)} == links_by_address(emulator)


@pytest.mark.parametrize("hand", [signal_process, signal_another_thread])
def test_a_question_that_nobody_answers_ends_with_a_signal(program: Program, hand: Hand) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(LONGEST)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v2"
        running = program.start("balance", "--json", RUNA_ENV="local", RUNA_API_KEY=KEY, RUNA_BASE_URL=url)
        asking, _ = silent.accept()
        hand(running, signal.SIGINT)
        _, err = running.communicate(timeout=LONGEST)
        asking.close()
    assert 130 == running.returncode
    assert "interrupted" == json.loads(err)["error"]["code"]


def test_nohup_means_that_a_lost_terminal_stops_nothing(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@1")
    running = subprocess.Popen(
        ["nohup", *program.command(*GIFT, "-o", "links")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=program.home, env=program.environment(),
    )  # fmt: skip
    wait_for(lambda: posts(emulator) >= 1, running)
    running.send_signal(signal.SIGHUP)
    emulator.hurry()
    out, _ = running.communicate(timeout=LONGEST)
    assert 0 == running.returncode
    assert links_at(emulator) == set(out.split())


def test_a_signal_to_a_single_order_in_flight_lets_it_finish(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@1")
    running = program.start(*GIFT, "-o", "links")
    wait_for(lambda: posts(emulator) >= 1, running)
    running.send_signal(signal.SIGTERM)
    wait_for_stopping(running)
    emulator.hurry()
    out, _ = running.communicate(timeout=LONGEST)
    assert 0 == running.returncode
    assert links_at(emulator) == set(out.split())


def start(program: Program, command: list[str], stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    """Start a command in the program's environment."""
    return subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=program.home,
        env=program.environment(),
    )  # fmt: skip


def ended(running: "subprocess.Popen[str]") -> Ran:
    """Wait for the end of a run."""
    out, err = running.communicate(timeout=LONGEST)
    return Ran(running.returncode, out, err)


@contextmanager
def held(ledger: Path) -> Iterator[None]:
    """Keep everybody else from writing to the ledger."""
    connection = sqlite3.connect(ledger, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()
