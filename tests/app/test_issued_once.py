"""Issued once: the same command, the same file, the same batch and the same key."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, Program, links_at, orders_at, posts, wait_for, wait_for_stopping
from tests.support.ran import LONGEST

MANY = ("order", "create", "--face-value", "10", "--quantity", "60", "--product", "AMZ-US")
TWO = ("order", "create", "--face-value", "10", "--quantity", "2", "--product", "AMZ-US")


def an_order(*addresses: str) -> str:
    return json.dumps({
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
        "items": [
            {
                "face_value": 10,
                "distribution_method": {"type": "EMAIL", "email_address": address},
                "products": {"type": "SINGLE", "value": "AMZ-US"},
            }
            for address in addresses
        ],
    })  # fmt: skip


def test_the_same_flags_are_refused_for_ten_minutes_and_issued_with_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    refused = program(*GIFT, "--json")
    assert (6, "") == (refused.code, refused.out)
    assert ("duplicate", "not_issued") == (refused.error["code"], refused.error["money"])
    assert orders_at(emulator)[0]["id"] == refused.error["order_id"]
    assert 1 == posts(emulator)
    assert 0 == program(*GIFT, "--again").code
    assert 2 == len(orders_at(emulator))


def test_the_same_flags_after_ten_minutes_are_a_new_order(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    age(program.ledger, timedelta(minutes=11))
    assert 0 == program(*GIFT).code
    assert 2 == len(orders_at(emulator))


def test_the_same_file_is_refused_for_ever(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program("order", "create", "--file", "-", "--format", "json", stdin=an_order("fred@example.com")).code
    age(program.ledger, timedelta(days=100))
    assert 6 == program("order", "create", "--file", "-", stdin=an_order("fred@example.com")).code
    assert 0 == program("order", "create", "--file", "-", "--again", stdin=an_order("fred@example.com")).code
    assert 2 == len(orders_at(emulator))


def test_a_named_batch_is_issued_once_and_shown_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    first = program(*TWO, "--batch", "bonus", "-o", "links")
    second = program(*TWO, "--batch", "bonus", "-o", "links")
    assert (0, 0) == (first.code, second.code)
    assert first.out == second.out
    assert 1 == posts(emulator)
    assert 0 == program(*TWO, "--batch", "bonus", "--again").code
    assert 1 == posts(emulator)


def test_a_name_says_that_the_same_content_is_meant_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT).code
    assert 0 == program(*GIFT, "--batch", "another").code
    assert 2 == len(orders_at(emulator))


def test_a_named_batch_meets_runas_duplicate_check_after_the_ledger_was_lost(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    first = program(*GIFT, "--batch", "bonus", "-o", "links")
    program.ledger.rename(program.ledger.with_name("lost.db"))
    program.time.sleep(10)  # what was made within the same seconds may be this ledger's own
    second = program(*GIFT, "--batch", "bonus", "-o", "links")
    assert first.out == second.out
    assert "was issued elsewhere" in second.err
    assert "was issued elsewhere" not in first.err
    assert 1 == len(orders_at(emulator))


@pytest.mark.parametrize("hours", [-20, -1, 1, 20])
@pytest.mark.parametrize("command", [GIFT, TWO], ids=["sync", "async"])
def test_a_new_order_is_not_called_issued_elsewhere_whatever_the_clock_says(
    program: Program, emulate: Emulate, hours: int, command: tuple[str, ...]
) -> None:
    emulate()
    ran = program.fork(*command, "--batch", "bonus", skew=hours * 3600)
    assert 0 == ran.code
    assert "elsewhere" not in ran.err


@pytest.mark.parametrize("hours", [-20, 20])
def test_an_order_whose_clock_was_set_meanwhile_is_not_called_issued_elsewhere(
    program: Program, emulate: Emulate, hours: int
) -> None:
    emulator = emulate()
    program.fork(*GIFT, "--batch", "bonus", killed_at="return:Client.create_order", skew=hours * 3600)
    ran = program(*GIFT, "--batch", "bonus")
    assert (0, 1) == (ran.code, len(orders_at(emulator))), ran.err
    assert "elsewhere" not in ran.err


@pytest.mark.file_ledger("it looks into the file")
def test_an_order_that_was_paid_again_is_not_called_unpaid(program: Program, emulate: Emulate) -> None:
    """Runa has forgotten the key, and this ledger does not know of the first order."""
    emulator = emulate("clock+31@2")
    assert 0 == program(*GIFT, "--batch", "bonus").code
    program.ledger.rename(program.ledger.with_name("lost.db"))
    again = program(*GIFT, "--batch", "bonus", "--no-lookup")
    assert (0, 2) == (again.code, len(orders_at(emulator)))
    assert "elsewhere" not in again.err
    assert "paid again" not in again.err


def test_a_named_batch_recorded_long_ago_is_looked_up_before_it_is_sent_for_the_first_time(
    program: Program, emulate: Emulate
) -> None:
    """Another machine may have issued it, and after 30 days Runa's duplicate check would not see that."""
    emulator = emulate()
    command = (*GIFT, "--batch", "bonus", "-o", "links")
    assert 7 == program(*command, "--timeout", "0.5", RUNA_BASE_URL="http://127.0.0.1:9/v2").code
    elsewhere = program(*command, RUNA_LEDGER=str(program.home / "elsewhere.db"))
    age(program.ledger, timedelta(days=30))
    ran = program(*command)
    assert elsewhere.out == ran.out, ran.err
    assert 1 == posts(emulator)
    assert ["completed"] == program.states()


def test_a_named_batch_recorded_long_ago_that_nobody_issued_is_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    command = (*GIFT, "--batch", "bonus")
    assert 7 == program(*command, "--timeout", "0.5", RUNA_BASE_URL="http://127.0.0.1:9/v2").code
    age(program.ledger, timedelta(days=30))
    assert 0 == program(*command).code
    assert 1 == len(orders_at(emulator))


def test_an_idempotency_key_stands_for_one_order(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    first = program(*GIFT, "--idempotency-key", "invoice-7", "-o", "links")
    second = program(*GIFT, "--idempotency-key", "invoice-7", "-o", "links")
    assert first.out == second.out
    assert ["invoice-7"] == [key for method, _, key in emulator.requests if method == "POST"]
    other = program(*TWO, "--idempotency-key", "invoice-7", "--json")
    assert (6, "key_reused") == (other.code, other.error["code"])


def test_what_a_rejected_key_of_ones_own_asked_for_can_be_asked_for_without_it(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    command = ("order", "create", "--face-value", "26", "--quantity", "1", "--product", "800PET-US")
    assert 5 == program(*command, "--idempotency-key", "mine").code
    ran = program(*command)
    assert 5 == ran.code
    assert "issued already" not in ran.err
    assert 2 == len({key for method, _, key in emulator.requests if method == "POST"})


def test_a_rejected_idempotency_key_is_not_replaced_by_another(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    command = ("order", "create", "--face-value", "26", "--quantity", "1", "--product", "800PET-US")
    assert 5 == program(*command, "--idempotency-key", "mine").code
    assert 5 == program(*command, "--idempotency-key", "mine").code
    assert 1 == posts(emulator)


def test_a_second_process_is_sent_away_while_the_first_works_and_shows_the_result_after_it(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate("slow:30@1")
    first = program.start(*GIFT, "--batch", "bonus", "-o", "links")
    wait_for(lambda: posts(emulator) == 1, first)
    second = program(*GIFT, "--batch", "bonus", "--json")
    assert (75, "not_issued") == (second.code, second.error["money"])
    emulator.hurry()
    out, _ = first.communicate(timeout=LONGEST)
    assert 0 == first.returncode
    assert out == program(*GIFT, "--batch", "bonus", "-o", "links").out
    assert 1 == posts(emulator)


@pytest.mark.file_ledger("a lease lasts a minute")
def test_a_killed_process_holds_its_batch_no_longer(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@1")
    first = program.start(*GIFT, "--batch", "bonus")
    wait_for(lambda: posts(emulator) == 1, first)
    first.kill()
    first.communicate()
    emulator.hurry()
    assert 0 == program(*GIFT, "--batch", "bonus").code
    assert 1 == len(orders_at(emulator))


def test_an_unfinished_batch_of_another_key_needs_a_yes(program: Program, emulate: Emulate) -> None:
    emulator = emulate("lost-after@1")
    playground = {"RUNA_ENV": "playground"}
    assert 7 == program(*GIFT, "--batch", "bonus", "--timeout", "1", **playground).code
    other = {**playground, "RUNA_API_KEY": "xxother.secret"}
    refused = program(*GIFT, "--batch", "bonus", "--json", **other)
    assert (6, "key_changed") == (refused.code, refused.error["code"])
    assert 1 == posts(emulator)
    assert 0 == program(*GIFT, "--batch", "bonus", "--yes", **other).code
    assert 1 == len(orders_at(emulator))


@pytest.mark.file_ledger("in live a name is needed on a server")
def test_live_money_needs_a_yes_or_the_exact_total(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    live = {"RUNA_ENV": "live", "RUNA_API_KEY": "wgtests.secret"}
    silent = program(*TWO, "--json", **live)
    assert (6, "not_confirmed") == (silent.code, silent.error["code"])
    assert "2 gifts, 20.00 USD, from account wgtests" in silent.error["message"]
    wrong = program(*TWO, "--confirm-total", "19.99", "--json", **live)
    assert (6, "total_differs") == (wrong.code, wrong.error["code"])
    assert 0 == posts(emulator)
    assert not program.ledger.exists() or [] == program.states()
    assert 0 == program(*TWO, "--confirm-total", "20", **live).code
    assert 0 == program(*GIFT, "--yes", **live).code


def test_a_total_above_the_cap_is_refused(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    refused = program(*TWO, "--max-total", "19.99", "--json")
    assert (6, "above_max_total") == (refused.code, refused.error["code"])
    for check in (("--max-total", "19.99"), ("--confirm-total", "19.99")):
        assert "bonus" == program(*TWO, "--batch", "bonus", *check, "--json").error["batch"]
    assert 6 == program(*TWO, RUNA_MAX_TOTAL="19.99").code
    assert 0 == posts(emulator)
    assert 0 == program(*TWO, "--max-total", "20").code


def test_a_dry_run_shows_the_exact_request_and_sends_and_records_nothing(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    (request,) = program(*GIFT, "--batch", "bonus", "--dry-run", "--json").json
    assert ["/v2/order?limit=500"] == [
        target for _, target, _ in emulator.requests
    ]  # it reads what was issued elsewhere
    assert not program.ledger.exists()
    assert "secret" not in json.dumps(request)
    assert ("POST", f"{emulator.url}/order") == (request["method"], request["url"])
    assert 0 == program(*GIFT, "--batch", "bonus").code
    assert [request["headers"]["X-Idempotency-Key"]] == [
        key for method, _, key in emulator.requests if method == "POST"
    ]
    assert request["body"] == recorded_body(program.ledger)


def test_the_order_of_the_api_page_goes_out_unchanged(program: Program, emulate: Emulate) -> None:
    emulate()
    order = {
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
        "items": [
            {
                "face_value": 10,
                "distribution_method": {
                    "type": "EMAIL",
                    "email_address": "fred@bloggs.com",
                    "template_id": "DT-01HPSF51G0ZWHJ3JTNWRH0WDYK",
                },
                "products": {"type": "MULTIPLE", "values": ["AMZ-US", "AIRBNB-US"]},
            }
        ],
        "description": "<string>",
    }
    ran = program("order", "create", "--file", "-", "--no-stamp", "--json", stdin=json.dumps(order))
    assert 0 == ran.code, ran.err
    assert order == recorded_body(program.ledger)
    assert "fred@bloggs.com" == ran.json["items"][0]["distribution_method"]["email_address"]


@pytest.mark.parametrize("value", ["10", "10.5", "10.50", "0.10", "1234567.89"])
def test_an_amount_goes_out_exactly_as_it_was_written(program: Program, emulate: Emulate, value: str) -> None:
    emulate()
    program("order", "create", "--face-value", value, "--product", "AERIE-US", "--no-preflight")
    assert f'"face_value":{value},' in recorded_text(program.ledger)


def test_a_ledger_that_cannot_be_written_means_that_nothing_is_sent(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = program(*GIFT, "--json", RUNA_LEDGER=str(program.home))
    assert (4, "ledger_unusable", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    corrupt = program.home / "corrupt.db"
    corrupt.write_bytes(b"no database at all" * 1000)
    assert 4 == program(*GIFT, RUNA_LEDGER=str(corrupt)).code
    assert 0 == posts(emulator)


def test_the_ledger_is_for_its_owners_eyes_and_never_holds_the_key(program: Program, emulate: Emulate) -> None:
    emulate()
    launched = program.execute(["sh", "-c", 'umask 000; exec "$0" "$@"', *program.command(*GIFT)])
    assert 0 == launched.code
    files = list(program.ledger.parent.iterdir())
    assert {0o600} == {path.stat().st_mode & 0o777 for path in files}
    assert 0o700 == program.ledger.parent.stat().st_mode & 0o777
    assert not any(b"secret~part" in path.read_bytes() for path in files)


def test_ctrl_c_finishes_the_order_in_flight(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@1")
    patient = program.start(*GIFT, "-o", "links")
    wait_for(lambda: posts(emulator) == 1, patient)
    patient.send_signal(signal.SIGINT)
    wait_for_stopping(patient)
    emulator.hurry()
    out, _ = patient.communicate(timeout=LONGEST)
    assert 0 == patient.returncode
    assert links_at(emulator) == set(out.split())


def test_a_second_ctrl_c_stops_at_once(program: Program, emulate: Emulate) -> None:
    emulator = emulate("slow:30@1")
    hasty = program.start(*TWO, "--json", "-v")
    wait_for(lambda: posts(emulator) == 1, hasty)
    hasty.send_signal(signal.SIGINT)
    wait_for_stopping(hasty)
    hasty.send_signal(signal.SIGINT)
    _, err = hasty.communicate(timeout=LONGEST)
    assert 130 == hasty.returncode
    assert "unknown" == json.loads(err.splitlines()[-1])["error"]["money"]
    assert ["sent"] == program.states()


def test_who_leaves_while_a_line_cannot_be_written_is_not_told_that_all_is_done(
    program: Program, emulate: Emulate
) -> None:
    """The order is issued and recorded, and its line stands in a pipe that nobody reads."""
    emulator = emulate(processing_seconds=0)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    running = program.start(*MANY, "-o", "jsonl", "-v", stdout=writer)
    os.close(writer)
    wait_for(lambda: posts(emulator) == 1, running)
    wait_for(lambda: ["completed"] == program.states(), running)
    running.send_signal(signal.SIGINT)
    wait_for_stopping(running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=LONGEST)
    os.close(reader)
    error = json.loads(err.splitlines()[-1])["error"]
    assert (130, "interrupted", "issued") == (running.returncode, error["code"], error["money"])
    shown = program(*MANY, "-o", "links")
    assert 0 == shown.code, shown.err
    assert links_at(emulator) == set(shown.out.split())


def test_a_file_of_settings_cannot_send_the_key_elsewhere(program: Program) -> None:
    (program.home / ".env").write_text("RUNA_API_KEY=xxa.b\nRUNA_BASE_URL=https://runa.io.example.com/v2\n")
    ran = program("ping", "--json")
    assert (4, "configuration") == (ran.code, ran.error["code"])
    assert "runa.io.example.com" in ran.error["message"]


def age(ledger: Path, by: timedelta) -> None:
    """Move everything in the ledger into the past, as time itself would."""
    with sqlite3.connect(ledger) as connection:
        for table, columns in (
            ("batch", ("created_at", "shown_at")),
            ("purchase", ("prepared_at", "first_sent_at", "settled_at")),
        ):
            for column in columns:
                for row, text in connection.execute(f"SELECT id, {column} FROM {table}").fetchall():
                    if text:
                        moved = (datetime.fromisoformat(text).astimezone(UTC) - by).isoformat(timespec="microseconds")
                        connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (moved, row))
    connection.close()


def recorded_text(ledger: Path) -> str:
    """Return the bytes of the last recorded order, as text."""
    connection = sqlite3.connect(ledger)
    try:
        return str(connection.execute("SELECT body FROM purchase ORDER BY id DESC").fetchone()[0].decode())
    finally:
        connection.close()


def recorded_body(ledger: Path) -> object:
    """Return the last recorded order."""
    return json.loads(recorded_text(ledger))


def test_a_failed_order_is_not_called_issued_when_it_is_asked_for_again(program: Program, emulate: Emulate) -> None:
    emulate("failed@1")
    assert 5 == program(*GIFT).code
    refused = program(*GIFT, "--json")
    assert 6 == refused.code
    assert "reported it FAILED" in refused.error["message"]
    assert "ordersupport@runa.io" in refused.error["hint"]


def test_ctrl_c_before_anything_is_sent_says_so(program: Program, emulate: Emulate) -> None:
    """Whoever thinks better of it while the input is still being typed has moved no money."""
    emulator = emulate()
    running = subprocess.Popen(
        program.command("order", "create", "--file", "-", "--json"), stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=program.home, env=program.environment(),
    )  # fmt: skip
    assert running.stdin is not None
    running.stdin.write("face_value,email,product\n" + "10,a@example.com,AMZ-US\n" * 20_000)
    running.stdin.flush()  # returns once most of it is being read
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert 130 == running.returncode
    assert "not_issued" == json.loads(err.splitlines()[-1])["error"]["money"]
    assert 0 == posts(emulator)
