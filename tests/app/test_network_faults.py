"""What happens on the wire: each fault over real sockets, its orders counted, its exit code, its state, its words."""

import re

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, Program, links_at, orders_at, posts

TWO = ("order", "create", "--face-value", "10", "--quantity", "2", "--product", "AMZ-US")


@pytest.mark.parametrize("command", [GIFT, TWO], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        ("lost-before@1", 2),
        ("lost-after@1", 2),
        ("102@1", 2),
        ("102-then-200@1", 2),
        ("in-progress@1", 2),
        ("429-retry-after@1", 2),
        ("transient-5xx@1", 2),
        ("503-html@1-2", 3),
        ("proxy-403@1-2", 3),
        ("cut-length@1", 2),
        ("cut-close@1", 2),
        ("unreadable@1", 2),
        ("slow:0.5@1", 1),
        ("dribble:0.0005@1", 1),
        ("shuffled@1", 1),
        ("redirect@1", 2),
    ],
)
def test_a_fault_that_passes_ends_in_exactly_one_order_and_its_links(
    program: Program, emulate: Emulate, fault: str, sent: int, command: tuple[str, ...]
) -> None:
    emulator = emulate(fault)
    ran = program(*command, "-o", "links")
    assert 0 == ran.code, ran.err
    assert sent == posts(emulator)
    assert 1 == len(orders_at(emulator))
    assert links_at(emulator) == set(ran.out.split())
    assert ["completed"] == program.states()
    assert not any("elsewhere" in target for _, target, _ in emulator.requests)


def test_the_same_bytes_and_key_are_sent_each_time(program: Program, emulate: Emulate) -> None:
    """A different body under the key would be an idempotency_validation_error, and a different key a second order."""
    emulator = emulate("lost-after@1", "cut-length@2", "unreadable@3")
    assert 0 == program(*GIFT).code
    assert 1 == len({key for method, _, key in emulator.requests if method == "POST"})
    assert 1 == len(orders_at(emulator))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("429@*", "rate limit is reached"),
        ("102@*", "still working on an earlier request"),
        ("in-progress@*", "still working on an earlier request"),
        ("lost-after@*", "unknown"),
        ("lost-before@*", "unknown"),
        ("slow:5@1", "unknown"),
        ("dribble:0.05@1", "unknown"),
        ("foreign-order@1", "not those of the order"),
        ("cut-close@*", "unreadable"),
    ],
)
def test_a_fault_that_stays_leaves_the_order_sent_and_says_that_the_outcome_is_unknown(
    program: Program, emulate: Emulate, fault: str, said: str
) -> None:
    emulator = emulate(fault)
    ran = program(*GIFT, "--timeout", "3", "--json")
    assert 7 == ran.code
    assert "" == ran.out
    assert ["sent"] == program.states()
    assert "unknown" == ran.error["money"]
    assert said in ran.error["message"]
    assert len(orders_at(emulator)) <= 1


def test_an_answer_that_is_cut_off_by_the_time_limit_is_told_with_the_seconds_it_had(
    program: Program, emulate: Emulate
) -> None:
    emulate("dribble:0.05@1")
    ran = program(*GIFT, "--timeout", "0.3", "--json")
    seconds = re.search(r"no complete answer within (\S+) s", ran.error["message"])
    assert seconds
    assert 0 < float(seconds[1]) <= 0.3


@pytest.mark.parametrize("fault", ["lost-after@1-2", "slow:3@1", "dribble:0.05@1", "cut-length@1-2", "102@1-2"])
def test_the_same_command_after_an_unknown_outcome_shows_the_one_order(
    program: Program, emulate: Emulate, fault: str
) -> None:
    emulator = emulate(fault)
    assert 7 == program(*GIFT, "--timeout", "0.3").code
    while (ran := program(*GIFT, "-o", "links")).code == 7:
        pass
    assert 0 == ran.code, ran.err
    assert 1 == len(orders_at(emulator))
    assert links_at(emulator) == set(ran.out.split())
    assert ["completed"] == program.states()


def test_a_stored_server_error_is_not_asked_for_for_ever_and_the_order_is_looked_up(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate("stored-5xx@1")
    ran = program(*GIFT, "--json")
    assert 7 == ran.code
    assert 5 == posts(emulator)
    assert ("GET", "/v2/order?limit=500", None) in emulator.requests
    assert [] == orders_at(emulator)
    assert ["sent"] == program.states()
    assert ("outcome_unknown", "unknown") == (ran.error["code"], ran.error["money"])
    assert "runa batch abandon" in ran.error["hint"]


def test_a_stored_server_error_gets_no_new_key_from_a_second_run(program: Program, emulate: Emulate) -> None:
    emulator = emulate("stored-5xx@1")
    program(*GIFT)
    assert 7 == program(*GIFT).code
    assert 6 == posts(emulator)
    assert 1 == len({key for method, _, key in emulator.requests if method == "POST"})
    assert ["sent"] == program.states()


def test_an_order_behind_a_stored_server_error_is_found_by_its_stamp_and_adopted(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate("stored-5xx-made@1")
    ran = program(*GIFT, "-o", "links")
    assert 0 == ran.code, ran.err
    assert "was found at Runa by its stamp" in ran.err
    assert 1 == len(orders_at(emulator))
    assert links_at(emulator) == set(ran.out.split())
    assert ["completed"] == program.states()


def test_an_order_without_a_stamp_is_not_adopted_on_looks(program: Program, emulate: Emulate) -> None:
    """The one order at Runa has the same total, currency and description, but that is no proof."""
    emulate("stored-5xx-made@1")
    ran = program(*GIFT, "--no-stamp")
    assert 7 == ran.code
    assert ["sent"] == program.states()


@pytest.mark.parametrize("fault", ["failed@1", "failed-bare@1"])
@pytest.mark.parametrize("command", [GIFT, TWO], ids=["sync", "async"])
def test_a_failed_order_exits_5_with_its_id_and_is_not_sent_again(
    program: Program, emulate: Emulate, fault: str, command: tuple[str, ...]
) -> None:
    emulator = emulate(fault)
    ran = program(*command, "--json")
    assert 5 == ran.code
    assert "FAILED" == ran.json["status"]
    assert ran.json["id"] == ran.error["order_id"]
    assert "not_issued" == ran.error["money"]
    assert ["failed"] == program.states()
    assert 6 == program(*command).code
    assert 1 == posts(emulator)
    assert "" == program("batch", "export", ran.error["batch"], "-o", "links").out


def test_a_rejection_says_what_to_change_and_the_same_command_takes_the_next_key(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    command = ("order", "create", "--face-value", "26", "--email", "fred@example.com", "--product", "800PET-US")
    ran = program(*command, "--json")
    assert 5 == ran.code
    assert ("product_validation_error", "not_issued") == (ran.error["code"], ran.error["money"])
    assert ["rejected"] == program.states()
    again = program(*command, "--json")
    assert 5 == again.code
    assert ran.error["idempotency_key"] != again.error["idempotency_key"]
    assert ["rejected", "rejected"] == program.states()
    assert [] == orders_at(emulator)


def test_a_key_that_runa_holds_for_another_body_stops_and_gets_no_new_key(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    assert 0 == program(*GIFT, "--idempotency-key", "one-key", RUNA_LEDGER=str(program.home / "other.db")).code
    ran = program(*TWO, "--idempotency-key", "one-key", "--json")
    assert 7 == ran.code
    assert "idempotency_validation_error" == ran.error["code"]
    assert ["sent"] == program.states()
    assert 1 == len(orders_at(emulator))


def test_nothing_listening_leaves_the_order_prepared_and_says_that_nothing_was_sent(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    ran = program(*GIFT, "--timeout", "1", "--json", RUNA_BASE_URL="http://127.0.0.1:9/v2")
    assert 7 == ran.code
    assert ("not_connected", "not_issued") == (ran.error["code"], ran.error["money"])
    assert ["prepared"] == program.states()
    assert 0 == program(*GIFT).code
    assert 1 == len(orders_at(emulator))


def test_a_server_that_does_not_speak_tls_was_sent_nothing(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = program(*GIFT, "--timeout", "1", "--json", RUNA_BASE_URL=emulator.url.replace("http:", "https:"))
    assert 7 == ran.code
    assert "not_issued" == ran.error["money"]
    assert ["prepared"] == program.states()


def test_a_refused_key_exits_4_and_the_right_key_issues_the_one_order(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    as_playground = {"RUNA_ENV": "playground"}
    ran = program(*GIFT, "--json", RUNA_API_KEY="xxtests.revoked", **as_playground)
    assert 4 == ran.code
    assert ("forbidden", "not_issued") == (ran.error["code"], ran.error["money"])
    assert 0 == program(*GIFT, **as_playground).code
    assert ["completed"] == program.states()
    assert 1 == len(orders_at(emulator))
    assert 1 == len({key for method, _, key in emulator.requests if method == "POST"})


def test_a_key_refused_after_an_unknown_outcome_proves_nothing(program: Program, emulate: Emulate) -> None:
    """The order was made; taking the refusal for Runa's last word would make a new key and pay twice."""
    emulator = emulate("lost-after@1")
    as_playground = {"RUNA_ENV": "playground"}
    assert 7 == program(*GIFT, "--timeout", "1", **as_playground).code
    ran = program(*GIFT, "--json", RUNA_API_KEY="xxtests.revoked", **as_playground)
    assert 7 == ran.code
    assert "unknown" == ran.error["money"]
    assert ["sent"] == program.states()
    assert 0 == program(*GIFT, **as_playground).code
    assert 1 == len(orders_at(emulator))


def test_an_accepted_order_is_polled_through_faults_and_never_posted_again(program: Program, emulate: Emulate) -> None:
    emulator = emulate("get-500@1", "get-lost@2", "get-429@3", "get-404@4", processing_seconds=0)
    ran = program(*TWO, "-o", "links")
    assert 0 == ran.code, ran.err
    assert 1 == posts(emulator)
    assert links_at(emulator) == set(ran.out.split())


def test_an_order_that_does_not_settle_in_time_stays_accepted_and_the_same_command_fetches_it(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate(processing_seconds=5)
    ran = program(*TWO, "--timeout", "2.5", "--json")
    assert 7 == ran.code
    assert "still_processing" == ran.error["code"]
    assert ["accepted"] == program.states()
    assert 0 == program(*TWO).code
    assert 1 == posts(emulator)


def test_no_wait_stops_at_the_acceptance_and_order_get_fetches_the_rest(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    ran = program(*TWO, "--no-wait", "--json")
    assert 0 == ran.code
    assert "PROCESSING" == ran.json["status"]
    assert ["accepted"] == program.states()
    fetched = program("order", "get", ran.json["id"], "--wait", "-o", "links")
    assert links_at(emulator) == set(fetched.out.split())
    assert 0 == program(*TWO).code
    assert 1 == posts(emulator)
