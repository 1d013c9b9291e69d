"""An idempotency key orders once, whatever happens."""

import json
import subprocess
import sys
import threading
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runa_cli.emulator.account import Account, Script
from runa_cli.emulator.store import Store
from tests.emulator.calls import LIVE_KEY, Caller, encoded, item, kind, order, parsed

MISTAKEN = order(item("ten"))


def test_the_same_request_gets_the_same_answer_and_no_second_order(caller: Caller) -> None:
    first = caller.post(order())
    caller.wait(days=3)
    second = caller.post(order())
    assert (first.status, first.body) == (second.status, second.body)
    assert len(caller.get("/order")["items"]) == 1
    assert caller.get("/balance?currency=USD")["balance"] == "999990.00"


def test_an_accepted_order_is_repeated_as_accepted(caller: Caller) -> None:
    first = caller.post(order(), mode="async")
    caller.wait(hours=1)
    assert first.body == caller.post(order(), mode="async").body


@pytest.mark.parametrize("body", [MISTAKEN, b"{", order(item(product="NOPE"))], ids=["422", "400", "product"])
def test_a_refusal_is_repeated(caller: Caller, body: object) -> None:
    first = caller.post(body)
    assert (first.status, first.body) == (caller.post(body).status, caller.post(body).body)


def test_insufficient_funds_are_repeated_after_topping_up(caller: Caller, store: Store) -> None:
    """The refusal is kept, so only a new key makes the order."""
    caller.api_key = LIVE_KEY
    store.set_balance("USD", Decimal(0))
    caller.post(order())
    store.set_balance("USD", Decimal(100))
    assert kind(caller.post(order())) == (400, "insufficient_funds")
    assert caller.post(order(), key="key-2").status == 200


def test_another_body_is_refused(caller: Caller) -> None:
    caller.post(order())
    assert kind(caller.post(order(item(11)))) == (400, "idempotency_validation_error")


def test_the_same_json_in_other_bytes_is_another_body(caller: Caller) -> None:
    caller.post(order())
    assert kind(caller.post(encoded(order()) + b"\n")) == (400, "idempotency_validation_error")


def test_the_first_answer_outlives_a_refused_body(caller: Caller) -> None:
    first = caller.post(order())
    caller.post(order(item(11)))
    assert first.body == caller.post(order()).body


def test_a_key_lives_until_thirty_days_are_over(caller: Caller) -> None:
    first = caller.post(order())
    caller.wait(days=30, seconds=-1)
    assert first.body == caller.post(order()).body


def test_after_thirty_days_a_key_orders_again(caller: Caller) -> None:
    first = parsed(caller.post(order()))
    caller.wait(days=30)
    second = parsed(caller.post(order()))
    assert [second["id"], first["id"]] == [listed["id"] for listed in caller.get("/order")["items"]]


def test_a_renewed_key_lives_thirty_days_more(caller: Caller) -> None:
    caller.post(order())
    caller.wait(days=30)
    second = caller.post(order())
    caller.wait(days=29)
    assert second.body == caller.post(order()).body


def test_a_key_is_required(caller: Caller) -> None:
    answer = caller.call("POST", "/order", order())
    [detail] = parsed(answer)["details"]
    assert kind(answer) == (422, "validation_error")
    assert (detail["type"], detail["location"]) == ("missing", ["header", "X-Idempotency-Key"])


def test_an_unknown_mode_is_refused_and_does_not_burn_the_key(caller: Caller) -> None:
    assert kind(caller.post(order(), mode="soon")) == (400, "invalid_execution_mode")
    assert caller.post(order()).status == 200


def test_all_keys_of_the_account_share_its_idempotency_keys(caller: Caller) -> None:
    first = caller.post(order())
    caller.api_key = "xxother.secret"
    assert first.body == caller.post(order()).body


def test_while_the_first_answer_is_out_the_key_is_in_progress(caller: Caller) -> None:
    first = caller.post(order(), script=Script(answer_after=timedelta(seconds=2)))
    caller.wait(seconds=1.9)
    assert kind(caller.post(order())) == (400, "idempotency_in_progress")
    caller.wait(seconds=0.1)
    assert first.body == caller.post(order()).body


def test_a_500_that_is_kept_is_repeated(caller: Caller) -> None:
    script = Script(makes_order=False, stores_500=True)
    assert kind(caller.post(order(), script=script)) == (500, "internal_server_error")
    assert kind(caller.post(order())) == (500, "internal_server_error")
    assert caller.get("/order")["items"] == []


def test_a_500_can_hide_an_order_that_was_made(caller: Caller) -> None:
    caller.post(order(), script=Script(stores_500=True))
    assert kind(caller.post(order())) == (500, "internal_server_error")
    assert len(caller.get("/order")["items"]) == 1


def test_threads_with_one_key_make_one_order(caller: Caller) -> None:
    start = threading.Barrier(8)
    answers: list[bytes] = []

    def send() -> None:
        start.wait()
        answers.append(caller.post(order()).body)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(answers), len(set(answers))) == (8, 1)
    assert len(caller.get("/order")["items"]) == 1


PROCESS = """
import json, sys
from pathlib import Path
from runa_cli.emulator.account import Account
from runa_cli.emulator.store import Store
from tests.emulator.calls import Caller, order
sys.stdin.readline()
store = Store(Path(sys.argv[1]))
caller = Caller(Account(store))
ids = [json.loads(caller.post(order(), key=f"key-{n}").body)["id"] for n in range(20)]
store.close()
print(json.dumps(ids))
"""


def test_processes_that_share_the_file_make_one_order_for_a_key(tmp_path: Path) -> None:
    """Both create the file, take turns writing, and get the same twenty orders."""
    path = tmp_path / "emulator.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ids: list[Any] = [json.loads(process.communicate(timeout=30)[0]) for process in processes]
    assert ids[0] == ids[1]
    store = Store(path)
    assert len(store.orders(100)) == 20
    assert Decimal("999800.00") == store.balance("USD")
    store.close()


def test_a_crash_in_the_middle_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order, balance and answer are committed together or not at all."""

    def crash(_: object) -> None:
        raise RuntimeError

    caller = Caller(Account(store))
    with monkeypatch.context() as patch:
        patch.setattr(store, "keep_answer", crash)
        with pytest.raises(RuntimeError):
            caller.post(order())
    assert caller.get("/order")["items"] == []
    assert caller.get("/balance?currency=USD")["balance"] == "1000000.00"
    assert caller.post(order()).status == 200
