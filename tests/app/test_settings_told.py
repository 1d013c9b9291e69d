"""What the program says about settings that cannot be used: which, where it was set, and never a key."""

import pytest

from tests.conftest import Emulate
from tests.support.program import GIFT, Program, posts

FLAT = ("order", "create", "--face-value", "10", "--email", "fred@example.com")


@pytest.mark.parametrize(
    "line", ["RUNA_MAX_TOTAL: 500", 'RUNA_MAX_TOTAL="500', "RUNA_MAXTOTAL=500", "runa_max_total=5"]
)
@pytest.mark.parametrize(
    "command", [GIFT, (*GIFT, "--dry-run"), ("ping",), ("config",), ("batch", "list"), ("batch", "resume", "--all")]
)
def test_a_cap_that_cannot_be_read_stops_every_command_with_one_line_of_json(
    program: Program, emulate: Emulate, line: str, command: tuple[str, ...]
) -> None:
    emulator = emulate()
    (program.home / ".env").write_text(f"# ours\n{line}\n")
    ran = program(*command, "--json")
    assert (4, "configuration", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert ".env, line 2" in ran.error["message"]
    assert (1, 0) == (len(ran.err.splitlines()), posts(emulator))
    assert not program.ledger.exists()


WRONG_PLACES = [
    "RUNA_ENV", "RUNA_CURRENCY", "RUNA_PRODUCTS", "RUNA_BASE_URL", "RUNA_MODE", "RUNA_LEDGER", "RUNA_API_KEY_FILE",
    "RUNA_TEMPLATE_ID", "RUNA_API_VERSION",
]  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PLACES)
@pytest.mark.parametrize("output", [(), ("--json",), ("-v",)])
def test_a_key_in_the_wrong_setting_is_shown_nowhere(program: Program, name: str, output: tuple[str, ...]) -> None:
    settings = {"RUNA_ENV": "local", name: "wgabc.secret"}
    for command in (("config",), GIFT, (*GIFT, "--dry-run")):
        ran = program(*command, *output, **settings)
        assert 4 == ran.code, ran
        assert "secret" not in ran.out + ran.err
        assert name in ran.err


def test_a_key_as_the_host_of_the_base_url_is_not_shown(program: Program) -> None:
    settings = {"RUNA_API_KEY": "xxk.s", "RUNA_BASE_URL": "https://wgabc.secret/v2", "RUNA_TIMEOUT": "1"}
    for command in (("config", "--json"), ("ping", "-v"), (*GIFT, "--json"), (*GIFT, "-v")):
        ran = program(*command, **settings)
        assert "secret" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("setting", "rest", "expected"),
    [
        ("RUNA_CURRENCY=usd", ("--product", "AMZ-US"), "must be a currency code"),
        ("RUNA_CURRENCY=GBP", ("--product", "AMZ-US"), "is GBP, but the products are in USD"),
        ("RUNA_PRODUCTS=PT-1", ("--currency", "USD"), "must be a product code"),
        ("RUNA_PRODUCTS=AMZ-US,BAW-GB", (), "must all be of one currency"),
        ("RUNA_PRODUCTS=NOPE-US", ("--preflight",), "NOPE-US is not in the catalogue"),
        ("RUNA_TEMPLATE_ID=PT-1", ("--product", "AMZ-US"), "takes a redemption template"),
    ],
)
def test_a_mistake_in_a_setting_is_told_for_the_setting_and_not_for_a_flag_that_nobody_gave(
    program: Program, setting: str, rest: tuple[str, ...], expected: str
) -> None:
    name, _, value = setting.partition("=")
    (program.home / ".env").write_text(setting)
    (program.home / "in.csv").write_text("face_value,email\n10,ann@example.com\n20,ben@example.com\n")
    for command in ((*FLAT, *rest), ("order", "create", "--file", "in.csv", *rest)):
        ran = program(*command, "--env", "local", "--json")
        assert 3 == ran.code, ran
        if "row" not in ran.error["message"]:  # of what depends on the row, the row is named
            assert f"{name} (.env): {expected}" in ran.error["message"]
            assert f"{name} (.env)" == ran.error["details"][0]["setting"]
    ran = program(*FLAT, *rest, RUNA_ENV="local", **{name: value})
    assert 3 == ran.code
    assert f"{name} (.env)" not in ran.err
    assert f"{name} (environment): {expected}" in ran.err


def test_a_flag_is_still_told_as_a_flag_above_a_setting(program: Program) -> None:
    (program.home / ".env").write_text("RUNA_CURRENCY=USD\nRUNA_PRODUCTS=AMZ-US\n")
    ran = program(*FLAT, "--product", "AMZ_US!", "--currency", "usd", "--env", "local", "--json")
    assert {"--product", "--currency"} >= {detail["flag"] for detail in ran.error["details"]}
