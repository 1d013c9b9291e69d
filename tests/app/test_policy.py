"""A policy holds on every path on which money is recorded or sent, and counts what the ledger holds exactly."""

from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support.csv_files import sheet
from tests.support.ledgers import make_older
from tests.support.program import Program, orders_at, posts
from tests.support.ran import Ran
from tests.support.signers import Signers

MONTH = '[[limit]]\nper = "month"\nmax = "100 USD"\n'
EACH = '[[limit]]\nper = "year"\neach = "recipient"\nmax = "100 USD"\n'


def policy(program: Program, text: str = MONTH, *, name: str = "policy.toml") -> Path:
    """Let a policy be in force."""
    path = program.home / name
    path.write_text(f"version = 1\n{text}")
    program.env["RUNA_POLICY"] = str(path)
    return path


def create(program: Program, value: str, *more: str, to: str = "ann@example.com") -> Ran:
    return program("order", "create", "--face-value", value, "--email", to, "--product", "AMZ-US", "--json", *more)


def rows(program: Program, *gifts: tuple[str, str], name: str = "list.csv", **more: str) -> str:
    """Write a list of addresses and values, and return its path."""
    listed = [{"email": f"{who}@example.com", "face_value": value, "product": "AMZ-US", **more} for who, value in gifts]
    return str(sheet(program.home / name, listed))


def from_file(program: Program, path: str, *more: str) -> Ran:
    return program("order", "create", "--file", path, "--json", *more)


def left(program: Program) -> list[str]:
    """Return what is left of each limit."""
    return [limit["left"] for limit in program("policy", "show", "--json").json]


@pytest.fixture
def engine(request: pytest.FixtureRequest, program: Program) -> str:
    """Let the ledger be a file, or on a server."""
    kind: str = getattr(request, "param", "file")
    if kind == "server" and program.database is None:
        program.database = request.getfixturevalue("database")
        program.env["RUNA_LEDGER"] = program.database.url
    return kind


indirect = pytest.mark.parametrize("engine", ["file", "server"], indirect=True)


# --- exactly ---------------------------------------------------------------------------------------------------------


def test_what_reaches_the_limit_is_issued_and_a_cent_more_is_refused(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    policy(program)
    assert 0 == create(program, "60").code
    refused = create(program, "40.01", to="ben@example.com")
    assert (6, "policy_limit", "not_issued") == (refused.code, refused.error["code"], refused.error["money"])
    (limit,) = refused.error["details"]
    assert ("100.00", "60.00", "40.01", "40.00", "USD") == tuple(
        limit[name] for name in ("max", "used", "asked", "left", "currency")
    )
    assert (
        "100.00 USD a month: 60.00 USD used, 40.01 USD asked for, 40.00 USD left; it resets" in refused.error["message"]
    )
    assert (0, 6) == (create(program, "40", to="ben@example.com").code, create(program, "1", to="cy@example.com").code)
    assert 2 == posts(emulator)


@indirect
@pytest.mark.parametrize("point", ["call:Batches.record", "call:Batches._record"])
def test_what_another_process_spends_between_check_and_record_counts(
    program: Program, emulate: Emulate, engine: str, point: str
) -> None:
    emulator = emulate()
    policy(program)
    running = program.paused_at(point, "order", "create", "--face-value", "60", "--product", "AMZ-US", "--json")
    assert running.pauses()
    assert 0 == create(program, "60").code
    running.go_on()
    ran = running.end()
    assert (6, "policy_limit", 1) == (ran.code, ran.error["code"], posts(emulator))


@pytest.mark.slow
@indirect
def test_four_processes_at_once_spend_exactly_the_limit(program: Program, emulate: Emulate, engine: str) -> None:
    emulator = emulate()
    policy(program)
    create(program, "60")  # makes the ledger
    running = [
        program.start("order", "create", "--face-value", "10", "--email", f"p{one}@example.com", "--product", "AMZ-US")
        for one in range(8)
    ]
    for each in running:
        each.communicate(timeout=120)
    assert [0] * 4 + [6] * 4 == sorted(each.returncode for each in running)
    assert 5 == len(orders_at(emulator))
    assert ["0.00"] == left(program)


@indirect
def test_what_is_reserved_before_a_kill_counts_once_and_is_sent_by_the_next_run(
    program: Program, emulate: Emulate, engine: str
) -> None:
    emulator = emulate()
    policy(program)
    command = ("order", "create", "--face-value", "60", "--product", "AMZ-US", "--batch", "bonus", "--json")
    assert -9 == program.killed_at("return:Batches.record", *command).code
    (limit,) = program("policy", "show", "--json").json
    assert ("0.00", "60.00", "40.00") == (limit["used"], limit["reserved"], limit["left"])
    assert 6 == create(program, "41").code
    assert (0, 1) == (program(*command).code, posts(emulator))
    assert (0, 6) == (create(program, "40").code, create(program, "1", to="ben@example.com").code)


@indirect
def test_an_unknown_outcome_counts_as_spent_until_it_is_given_up(
    program: Program, emulate: Emulate, engine: str
) -> None:
    emulate("stored-5xx@1")
    policy(program)
    assert 7 == create(program, "60", "--batch", "bonus").code
    assert 6 == create(program, "41", to="ben@example.com").code
    assert 7 == create(program, "60", "--batch", "bonus").code  # a retry counts nothing anew
    assert ["40.00"] == left(program)
    assert 0 == program("batch", "abandon", "bonus", "--yes").code
    shown = program("policy", "show")
    assert "60.00 USD of abandoned orders were sent with unknown outcome" in shown.err
    assert (["100.00"], 0) == (left(program), create(program, "100", to="ben@example.com").code)


@indirect
@pytest.mark.parametrize(("value", "fault"), [("1200", []), ("60", ["failed@1"])])
def test_what_runa_rejects_or_reports_as_failed_is_given_back(
    program: Program, emulate: Emulate, engine: str, value: str, fault: list[str]
) -> None:
    emulate(*fault)
    policy(program, MONTH.replace("100", "1200"))
    refused = program("order", "create", "--face-value", value, "--product", "VISASL-3M-USD", "--json")
    assert (5, ["1200.00"]) == (refused.code, left(program)), refused.err


def test_what_runa_rejected_counts_again_when_it_is_issued_again(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program, MONTH.replace("100", "1200"))
    rejected = ("order", "create", "--face-value", "1001", "--product", "VISASL-3M-USD", "--batch", "bonus", "--json")
    assert 5 == program(*rejected).code
    assert 0 == create(program, "500").code
    again = program(*rejected)
    assert (6, "policy_limit", ["rejected", "completed"]) == (again.code, again.error["code"], program.states())
    dry = program(*rejected, "--dry-run")
    assert (6, again.error["message"]) == (dry.code, dry.error["message"])


def test_again_and_another_batch_name_are_no_way_round_a_limit(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    policy(program)
    assert 0 == create(program, "60").code
    assert [6, 6] == [create(program, "60", *more).code for more in (["--again"], ["--batch", "other"])]
    assert 1 == posts(emulator)


# --- edited batches --------------------------------------------------------------------------------------------------


def test_an_edited_batch_counts_what_is_new_and_gives_back_what_is_no_longer_to_be_sent(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    policy(program)
    path = rows(program, ("ann", "30"), ("ben", "60"))
    command = ("--batch", "bonus", "--no-preflight")
    assert -9 == program.killed_at("return:Batches.record", "order", "create", "--file", path, *command).code
    assert ["10.00"] == left(program)
    rows(program, ("ann", "30"), ("cy", "70"))
    assert (0, ["0.00"]) == (from_file(program, path, *command).code, left(program))


def test_what_an_edited_batch_has_issued_counts_and_is_refused_whole_with_what_is_new(
    program: Program, emulate: Emulate
) -> None:
    emulator = emulate()
    policy(program)
    path = rows(program, ("ann", "30"), ("ben", "30"))
    assert 0 == from_file(program, path, "--batch", "bonus").code
    rows(program, ("ann", "30"), ("ben", "30"), ("cy", "20"), ("dee", "20.01"))
    refused = from_file(program, path, "--batch", "bonus")
    assert (6, "policy_limit", 1) == (refused.code, refused.error["code"], posts(emulator))
    rows(program, ("ann", "30"), ("ben", "30"), ("cy", "20"), ("dee", "20"))
    assert 0 == from_file(program, path, "--batch", "bonus").code


def test_a_limit_on_a_batch_counts_what_it_issued_before(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program, '[[limit]]\nper = "batch"\nmax = "100 USD"\n')
    path = rows(program, ("ann", "60"))
    assert 0 == from_file(program, path, "--batch", "one").code
    rows(program, ("ann", "60"), ("ben", "60"))
    assert [6, 0] == [
        from_file(program, path, "--batch", "one").code,
        create(program, "100", "--batch", "two", to="cy@example.com").code,
    ]


def test_a_limit_on_an_order_looks_at_each_order_of_a_file(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program, '[[limit]]\nper = "order"\nmax = "100 USD"\n')
    path = sheet(
        program.home / "list.csv",
        [
            {"email": f"p{one}@example.com", "face_value": "60", "product": "AMZ-US", "description": f"part {part}"}
            for one, part in enumerate([1, 2, 3])
        ],
    )
    assert 0 == from_file(program, str(path)).code
    together = rows(program, ("x", "60"), ("y", "60"), name="other.csv")
    assert 6 == from_file(program, together).code


# --- resuming --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("batch", "resume", "bonus"), ("batch", "resume", "--all")])
def test_a_batch_recorded_under_no_policy_is_held_to_the_one_in_force_when_it_is_resumed(
    program: Program, emulate: Emulate, command: tuple[str, ...]
) -> None:
    emulator = emulate()
    path = rows(program, ("ann", "60"), ("ben", "60"))
    create_it = ("order", "create", "--file", path, "--batch", "bonus", "--no-preflight")
    assert -9 == program.killed_at("return:Batches.record", *create_it).code
    policy(program)
    ran = program(*command, "--json")
    assert (6, "policy_limit", 0) == (ran.code, ran.error["code"], posts(emulator))
    again = program(*create_it, "--json")
    assert (6, "policy_limit", 0) == (again.code, again.error["code"], posts(emulator))


@pytest.mark.file_ledger("the time of a server does not move with the test's")
def test_what_was_recorded_on_one_day_and_is_sent_on_another_counts_on_that_day(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    policy(program, MONTH.replace("month", "day"))
    command = (
        "order",
        "create",
        "--face-value",
        "60",
        "--product",
        "AMZ-US",
        "--batch",
        "bonus",
        "--no-lookup",
        "--json",
    )
    assert -9 == program.killed_at("return:Batches.record", *command).code
    program.time.sleep(24 * 60 * 60)
    assert 0 == create(program, "60", "--no-lookup").code
    assert (6, ["40.00"]) == (program(*command).code, left(program))
    program.time.sleep(24 * 60 * 60)
    assert (0, ["40.00"]) == (program(*command).code, left(program))


@pytest.mark.file_ledger("the time of a server does not move with the test's")
def test_a_limit_resets_with_its_window(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program, MONTH.replace("month", "day"))
    assert [0, 6] == [create(program, "100").code, create(program, "1", to="ben@example.com").code]
    program.time.sleep(24 * 60 * 60)
    assert 0 == create(program, "100", to="ben@example.com").code


# --- recipients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("fred@example.com", "FRED@Example.COM"),
        ("fred@b\u00fccher.example", "fred@xn--bcher-kva.example"),
        ("jos\u00e9@example.com", "jose\u0301@example.com"),
    ],
)
def test_a_recipient_is_one_however_the_address_is_spelled(
    program: Program, emulate: Emulate, first: str, second: str
) -> None:
    emulate()
    policy(program, EACH)
    assert 0 == create(program, "60", to=first).code
    refused = create(program, "41", to=second)
    assert (6, "policy_limit") == (refused.code, refused.error["code"])
    assert second.split("@", maxsplit=1)[0] in refused.error["details"][0]["recipient"]
    assert (0, 0) == (create(program, "40", to=second).code, create(program, "100", to="ben@example.com").code)


def test_a_recipient_is_added_up_within_one_file_and_the_rows_are_named(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    policy(program, EACH)
    path = rows(program, ("ann", "60"), ("ben", "60"), ("ANN", "60"))
    refused = from_file(program, path)
    (detail,) = refused.error["details"]
    assert (6, [1, 3], "120.00", 0) == (refused.code, detail["rows"], detail["asked"], posts(emulator))
    actions = program("order", "create", "--file", path, "--dry-run", "-o", "csv").out
    assert ["refused", "send", "refused"] == [line.split(",")[6] for line in actions.splitlines()[1:]]


def test_a_reference_is_one_person_as_a_spreadsheet_may_write_it(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program, f'recipient = "reference"\n{EACH}')
    first = rows(program, ("ann", "60"), reference="007")
    assert 0 == from_file(program, first).code
    second = rows(program, ("ann.other", "60"), name="second.csv", reference="7")
    assert 6 == from_file(program, second).code


def test_a_payout_link_counts_for_its_label_and_those_without_one_for_nobody_in_particular(
    program: Program, emulate: Emulate
) -> None:
    emulate()
    policy(program, EACH)
    links = [{"reference": who, "face_value": "60", "product": "AMZ-US"} for who in ("Ann", "Ben", "cy@example.com")]
    assert 0 == from_file(program, str(sheet(program.home / "links.csv", links))).code
    assert 6 == create(program, "60", to="CY@example.com").code
    anonymous = ("order", "create", "--face-value", "60", "--product", "AMZ-US", "--json")
    assert 0 == program(*anonymous).code
    refused = program(*anonymous, "--again")
    assert (6, None) == (refused.code, refused.error["details"][0]["recipient"])
    assert "for gifts that name nobody" in refused.error["message"]


def test_the_recipients_who_are_nearest_to_a_limit_are_shown(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program, EACH)
    path = rows(program, ("ann", "10"), ("ben", "90"), ("cy", "20"), ("dee", "30"))
    assert 0 == from_file(program, path).code
    shown = program("policy", "show", "--json").json
    assert [("ben@example.com", "10.00"), ("dee@example.com", "70.00"), ("cy@example.com", "80.00")] == [
        (limit["recipient"], limit["left"]) for limit in shown
    ]


# --- products, currencies, lists -------------------------------------------------------------------------------------


def test_a_limit_on_products_counts_every_gift_that_may_become_one(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program, '[[limit]]\nper = "month"\nproducts = ["amz*"]\nmax = "100 USD"\n')
    base = ("order", "create", "--face-value", "60", "--json", "--product")
    assert 0 == program(*base, "AIRBNB-US").code
    assert 0 == program(*base, "AMZ-US", "--product", "AIRBNB-US").code
    assert [6, 0] == [program(*base, code, "--again").code for code in ("AMZ-US", "AIRBNB-US")]


def test_each_balance_has_its_own_limit_and_a_conversion_counts_for_the_one_that_pays(
    program: Program, emulate: Emulate
) -> None:
    """100 USD cost 92.64 EUR at the emulator's rate and with its fee."""
    emulate()
    policy(program, '[[limit]]\nper = "month"\nmax = "100 EUR"\n')
    assert 0 == create(program, "1000").code
    converted = ("--currency", "EUR", "--fx")
    assert 0 == create(program, "100", *converted, to="ben@example.com").code
    assert ["7.36"] == left(program)
    refused = create(program, "100", *converted, to="cy@example.com")
    assert (6, "92.64", "7.36") == (
        refused.code, refused.error["details"][0]["asked"], refused.error["details"][0]["left"],
    )  # fmt: skip


def test_a_conversion_of_unknown_price_is_refused_where_a_limit_counts_it(program: Program, emulate: Emulate) -> None:
    """Runa's playground has no estimates."""
    emulator = emulate()
    program.env["RUNA_ENV"] = "playground"
    policy(program, '[[limit]]\nper = "month"\nmax = "100 EUR"\n')
    refused = create(program, "10", "--currency", "EUR", "--fx")
    assert (6, "policy_price_unknown", 0) == (refused.code, refused.error["code"], posts(emulator))


@pytest.mark.parametrize(
    ("rule", "gift", "reason"),
    [
        ('currencies = ["EUR"]', ("--email", "a@example.com"), "the balance USD may not pay (allowed: EUR)"),
        ('domains = ["example.com"]', ("--email", "a@sub.example.com"), "addresses at sub.example.com get nothing"),
        ('domains = ["example.com"]', (), "payout links have no address at an allowed domain"),
        ("links = false", (), "payout links may not be made"),
        ('products = ["VISA*"]', (), "AMZ-US may not be issued (allowed: VISA*)"),
    ],
)
def test_what_is_not_allowed_is_refused_in_a_dry_run_too(
    program: Program, emulate: Emulate, rule: str, gift: tuple[str, ...], reason: str
) -> None:
    emulator = emulate()
    policy(program, f"[allow]\n{rule}\n")
    command = ("order", "create", "--face-value", "10", "--product", "AMZ-US", *gift, "--json")
    for more in ([], ["--dry-run"]):
        refused = program(*command, *more)
        assert (6, "policy_not_allowed") == (refused.code, refused.error["code"])
        assert reason in refused.error["message"]
    assert 0 == posts(emulator)


def test_a_domain_is_compared_as_addresses_are(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program, '[allow]\ndomains = ["B\u00fccher.example"]\n')
    assert 0 == create(program, "10", to="ann@XN--bcher-kva.example").code


# --- what is in force ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [None, 'version = 1\n[[limit]]\nper = "month"\nmax = 100.0\n', "version = 1\n"])
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_policy_that_cannot_be_read_stops_everything(
    program: Program, emulate: Emulate, broken: str | None, more: tuple[str, ...]
) -> None:
    emulator = emulate()
    path = policy(program)
    path.unlink() if broken is None else path.write_text(broken)
    ran = create(program, "10", *more)
    assert (4, "policy_unusable", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert "RUNA_POLICY (environment) names it." in ran.error["hint"]
    assert 0 == posts(emulator)


def test_a_misspelt_name_of_the_setting_is_no_missing_policy(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    for name in ("RUNA_POLICIY", "RUNA_Policy", "RUNAPOLICY", "RNUA_POLICY"):
        ran = program("order", "create", "--face-value", "10", "--product", "AMZ-US", **{name: "x"})
        assert (4, True) == (ran.code, "did you mean RUNA_POLICY?" in ran.err)
    assert 0 == posts(emulator)


@indirect
def test_a_stored_policy_holds_without_the_setting_and_beside_it(
    program: Program, emulate: Emulate, engine: str
) -> None:
    emulator = emulate()
    path = policy(program)
    assert 0 == program("policy", "store", str(path)).code
    policy(program, MONTH.replace("100", "50"), name="other.toml")
    assert [6, 0] == [create(program, "51").code, create(program, "50").code]
    del program.env["RUNA_POLICY"]
    assert [6, 0] == [create(program, value, to="ben@example.com").code for value in ("51", "50")]
    assert 0 == program("policy", "store", "--remove").code
    assert (0, 3) == (create(program, "500", to="cy@example.com").code, posts(emulator))


@indirect
def test_a_policy_that_is_stored_while_a_run_waits_holds_for_it(
    program: Program, emulate: Emulate, engine: str
) -> None:
    emulator = emulate()
    path = policy(program)
    del program.env["RUNA_POLICY"]
    running = program.paused_at(
        "call:Orders.mark_sent", "order", "create", "--face-value", "101", "--product", "AMZ-US", "--json"
    )
    assert running.pauses()
    assert 0 == program("policy", "store", str(path)).code
    running.go_on()
    ran = running.end()
    assert (6, "policy_limit", 0) == (ran.code, ran.error["code"], posts(emulator))


@pytest.mark.file_ledger("is about a file of an older version")
def test_orders_of_an_older_ledger_count(program: Program, emulate: Emulate) -> None:
    emulate("failed@2")
    path = rows(program, ("ann", "30"), ("ben", "30"))
    assert 0 == from_file(program, path, "--batch", "bonus").code
    assert 5 == create(program, "500", to="cy@example.com").code
    assert 0 == program(
        "order", "create", "--face-value", "50", "--currency", "EUR", "--fx", "--product", "AMZ-US", "--json"
    ).code  # fmt: skip
    make_older(program.ledger, 11, program.mark)
    policy(program, MONTH + EACH.replace("100", "40") + MONTH.replace("USD", "EUR"))
    assert ["40.00", "10.00", "10.00", "53.69"] == left(program)
    assert [6, 6, 0] == [
        create(program, "41", to="dee@example.com").code,
        create(program, "11", to="ANN@example.com").code,
        create(program, "40", to="dee@example.com").code,
    ]


def test_orders_that_were_issued_from_another_ledger_count_once_they_are_known(
    program: Program, emulate: Emulate, tmp_path: Path
) -> None:
    emulator = emulate()
    path = rows(program, ("ann", "30"), ("ben", "30"))
    assert 0 == from_file(program, path, "--batch", "bonus").code
    home = tmp_path / "elsewhere"
    home.mkdir()
    other = program.elsewhere(home)
    policy(other)
    command = ("--batch", "bonus")
    path = rows(other, ("ann", "30"), ("ben", "30"), ("cy", "41"))
    dry, real = from_file(other, path, *command, "--dry-run"), from_file(other, path, *command)
    assert (6, 6, "policy_limit") == (dry.code, real.code, real.error["code"])
    assert ("60.00", "60.00") == (dry.error["details"][0]["used"], real.error["details"][0]["used"])
    rows(other, ("ann", "30"), ("ben", "30"), ("cy", "40"))
    assert (0, 2) == (from_file(other, path, *command).code, posts(emulator))


def test_a_pruned_batch_counts_for_its_limits_and_its_recipients(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program, MONTH + EACH.replace("100", "70"))
    assert 0 == create(program, "60", "--batch", "bonus").code
    assert 0 == program("batch", "prune", "bonus", "--yes").code
    assert [6, 6, 0] == [
        create(program, "41", to="ben@example.com").code,
        create(program, "11").code,
        create(program, "10").code,
    ]


# --- by reference ----------------------------------------------------------------------------------------------------


def test_by_reference_counts_what_is_new_beside_what_is_known(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    policy(program)
    listed = [{"email": f"p{one}@example.com", "face_value": "50", "product": "AMZ-US", "reference": f"R{one}"}
              for one in range(3)]  # fmt: skip
    path = str(sheet(program.home / "list.csv", listed[:2]))
    for batch in ([], ["--batch", "bonus"]):
        assert 0 == from_file(program, path, "--by-reference", *batch).code
    sheet(Path(path), listed)
    dry, real = (from_file(program, path, "--by-reference", "--batch", "bonus", *more) for more in (["--dry-run"], []))
    assert (6, 6, "policy_limit", "50.00") == (
        dry.code,
        real.code,
        real.error["code"],
        real.error["details"][0]["asked"],
    )
    assert dry.error["message"] == real.error["message"]
    assert 1 == posts(emulator)


# --- for people ------------------------------------------------------------------------------------------------------


def test_the_dry_run_says_which_limit_comes_near(program: Program, emulate: Emulate) -> None:
    emulate()
    path = policy(program)
    command = ("order", "create", "--product", "AMZ-US", "--dry-run", "--face-value")
    assert "Policy          within its limits" in program(*command, "10").out
    near = f"Policy          10.00 USD left of 100.00 USD a month (limit 1 of the policy {path})"
    assert near in program(*command, "90").out


def test_the_question_says_which_limit_comes_near(program: Program, emulate: Emulate) -> None:
    emulate()
    policy(program)
    asked = create(program, "90", "--confirm")
    assert (6, "not_confirmed") == (asked.code, asked.error["code"])
    assert "Policy: 10.00 USD left of 100.00 USD a month (limit 1" in asked.error["message"]


def test_check_says_in_words_what_a_policy_says(program: Program) -> None:
    signers = Signers(program.home)
    signers.allow("bob")
    path = policy(
        program,
        'timezone = "Europe/London"\n' + MONTH + EACH
        + '[allow]\ndomains = ["example.com"]\n[approval]\nabove = "10 USD"\nsigners = "'
        + f'{signers.file}"\n',
    )  # fmt: skip
    (document,) = program("policy", "check", str(path), "--json").json
    assert [
        "Days, weeks, months and years are those of the calendar in Europe/London.",
        "A recipient is an e-mail address; a payout link counts for its reference or label.",
        "Limit 1: at most 100.00 USD a month.",
        "Limit 2: at most 100.00 USD a year for each recipient.",
        "Note: no limit is about what balances other than USD pay.",
        "Only addresses at example.com may get gifts.",
        "Payout links may not be made.",
        "A batch above 10.00 USD, or of any amount from a balance other than USD, needs a signature of those in"
        f" {signers.file}, which counts for 72 hours.",
    ] == document["says"]


def test_check_does_not_send_to_itself_and_lists_each_mistake(program: Program) -> None:
    path = policy(program, '[[limit]]\nper = "x"\nmax = "5"\n')
    for command in (("policy", "check"), ("policy", "check", str(path))):
        ran = program(*command, "--json")
        assert (4, "policy_unusable", [3, 4]) == (
            ran.code, ran.error["code"], [each["line"] for each in ran.error["details"]],
        )  # fmt: skip
        assert ran.error["hint"].endswith("Nothing is sent without the policy that is meant.")
    assert "runa policy check FILE" in program("policy", "show", "--json", RUNA_ENV="local").error["hint"]


def test_check_without_a_policy_is_an_error_and_makes_no_ledger(program: Program) -> None:
    ran = program("policy", "check", "--json", RUNA_ENV="local")
    assert (4, "no_policy") == (ran.code, ran.error["code"])
    if program.database is None:
        assert not program.ledger.exists()


def test_limits_are_shown_as_csv(program: Program, emulate: Emulate) -> None:
    emulate()
    path = policy(program, '[[limit]]\nper = "all"\nproducts = ["VISA*", "AMZ*"]\nmax = "100 USD"\n')
    assert 0 == create(program, "60").code
    assert (
        "policy,limit,per,each,products,recipient,currency,max,used,reserved,left,resets_at\n"
        f"{path},1,all,,VISA*|AMZ*,,USD,100.00,60.00,0.00,40.00,\n"
    ) == program("policy", "show", "-o", "csv").out


def test_a_store_needs_a_file_or_the_wish_to_remove(program: Program) -> None:
    path = policy(program)
    assert [2, 2] == [program("policy", "store").code, program("policy", "store", str(path), "--remove").code]
    path.write_text("version = 2\n")
    assert 4 == program("policy", "store", str(path)).code


# --- between recording and sending -----------------------------------------------------------------------------------


@pytest.mark.file_ledger("the time of a server does not move with the test's")
def test_an_order_that_is_sent_after_midnight_is_held_to_the_new_day(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    policy(program, MONTH.replace("month", "day"))
    running = program.paused_at(
        "call:Orders.mark_sent", "order", "create", "--face-value", "60", "--product", "AMZ-US", "--json"
    )
    assert running.pauses()
    program.time.sleep(24 * 60 * 60)
    assert 0 == create(program, "60").code
    running.go_on()
    ran = running.end()
    assert (6, "policy_limit", 1) == (ran.code, ran.error["code"], posts(emulator))
    assert ["40.00"] == left(program)


@pytest.mark.parametrize("rules", [MONTH, EACH, MONTH.replace("month", "batch"), MONTH.replace("month", "order")])
@pytest.mark.parametrize("value", ["49.99", "50", "50.01"])
@pytest.mark.parametrize("more", [(), ("--batch", "bonus"), ("--batch", "other"), ("--again",)])
def test_a_dry_run_says_what_the_run_says(
    program: Program, emulate: Emulate, rules: str, value: str, more: tuple[str, ...]
) -> None:
    emulate()
    policy(program, rules)
    path = rows(program, ("ann", "50"))
    assert 0 == from_file(program, path, "--batch", "bonus").code
    rows(program, ("ann", "50"), ("ANN", value), ("ben", value))
    dry, real = (from_file(program, path, *more, *ends) for ends in (["--dry-run"], []))
    assert (dry.code, dry.error["message"] if dry.code else "") == (
        real.code,
        real.error["message"] if real.code else "",
    )
