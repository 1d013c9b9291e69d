"""Profiles as a person meets them: chosen by a flag, listed, and named before money moves."""

import json
from pathlib import Path

import pytest

from tests.support.program import GIFT, Program


@pytest.fixture(autouse=True)
def config(program: Program) -> Path:
    """Write two profiles of the local account."""
    path = program.home / ".config/runa/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        '[profile.acme]\nenv = "local"\nmax_total = 500\n\n[profile.other]\nenv = "local"\nledger = "other.db"\n'
        'api_key_command = "pass show secret-path"\n'
    )
    return path


def test_config_lists_the_profiles_and_names_the_origin_of_each_setting(program: Program, config: Path) -> None:
    rows = {
        row["setting"]: (row["value"], row["origin"]) for row in program("config", "--profile", "acme", "--json").json
    }
    assert ("acme", "flag") == rows["RUNA_PROFILE"]
    assert ("500", "profile acme") == rows["RUNA_MAX_TOTAL"]
    assert ("env = local, max_total = 500", str(config)) == rows["profile.acme"]
    assert f"env = local, ledger = {config.parent}/other.db, api_key_command = pass …" == rows["profile.other"][0]


def test_config_lists_the_profiles_and_what_is_wrong_in_any_of_them(program: Program, config: Path) -> None:
    config.write_text('[profile.acme]\nenv = "local"\n[profile.bad]\nmaxtotal = 5\n')
    ran = program("config", "--profile", "acme")
    assert (4, True) == (ran.code, "profile.bad" in ran.out)
    assert f"Error: {config}, profile bad: maxtotal is not a setting; it is written max_total." in ran.err
    assert 0 == program("batch", "list", "--profile", "acme").code, "another profile's mistake stops nobody"


def test_the_question_and_the_dry_run_name_the_profile_with_the_account(program: Program) -> None:
    asked = program(*GIFT, "--profile", "acme", "--confirm")
    assert (6, True) == (asked.code, "from account emulator (profile acme). Nothing was sent." in asked.err)
    assert "local, account emulator (profile acme)\n" in program(*GIFT, "--profile", "acme", "--dry-run").out


def test_a_cap_of_the_profile_holds(program: Program) -> None:
    ran = program("order", "create", "--face-value", "501", "--product", "AMZ-US", "--profile", "acme", "--json")
    assert (6, "above_max_total") == (ran.code, ran.error["code"])


def test_each_profile_has_its_own_ledger(program: Program, config: Path) -> None:
    assert 0 == program(*GIFT, "--profile", "other").code
    assert (True, []) == (
        (config.parent / "other.db").exists(),
        program("batch", "list", "--env", "local", "--json").json,
    )


def test_a_key_beside_a_profile_sends_nothing(program: Program) -> None:
    ran = program(*GIFT, "--profile", "acme", "--json", RUNA_API_KEY="xxk.secret")
    assert (4, "configuration", "not_issued") == (ran.code, ran.error["code"], ran.error["money"])
    assert "secret" not in ran.out + ran.err


# --- log lines ---------------------------------------------------------------------------------------------------


def test_each_log_line_is_a_json_object_where_that_is_asked_for(program: Program) -> None:
    ran = program(*GIFT, "--profile", "acme", "-v", "-q", "--log-format", "json", "--json")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    post = next(line for line in lines if line.get("method") == "POST")
    assert {"time", "message", "method", "path", "status", "request_id", "ms"} == set(post)
    assert ("/order", 200, True) == (post["path"], post["status"], post["time"].endswith("Z"))
    assert [1] == [line["attempt"] for line in lines if "attempt" in line]


def test_without_verbose_there_are_no_log_lines(program: Program) -> None:
    assert "" == program(*GIFT, "--profile", "acme", "--log-format", "json", "--json").err


def test_messages_are_lines_of_json_too_where_the_log_is(program: Program) -> None:
    for more, code in (((), 0), (("--max-total", "1", "--again"), 6)):
        ran = program(*GIFT, *more, "--profile", "acme", "-v", "--log-format", "json", "-o", "links")
        lines = [json.loads(line) for line in ran.err.splitlines()]
        assert (code, True) == (ran.code, all(line.keys() >= {"time", "message"} or "error" in line for line in lines))
        assert [] == [line for line in lines if "level" in line and line["level"] not in {"note", "warning"}]
    assert "above_max_total" == lines[-1]["error"]["code"]


def test_an_unknown_log_format_is_wrong_usage(program: Program) -> None:
    ran = program("ping", "--env", "local", "--log-format", "xml")
    assert (2, True) == (ran.code, "--log-format must be text or json, found 'xml'." in ran.err)
