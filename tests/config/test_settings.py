"""Settings: flag > environment > .env > default, and nothing that could send the key astray."""

import stat
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runa_cli.config import settings
from runa_cli.config.api_key import ApiKey
from runa_cli.config.settings import Settings
from runa_cli.config.values import is_loopback
from runa_cli.core.errors import ConfigurationError, UsageMistake
from runa_cli.core.money import parse_amount

LIVE = "wgABC.secret~part"
PLAYGROUND = "XXabc.secret~part"


def load(flags: Mapping[str, object] | None = None, /, **environ: str) -> Settings:
    """Return the settings of these flags and this environment, with the `.env` of the working directory."""
    return settings.load(flags, environ=environ)


def dotenv(text: str, path: Path | None = None) -> Path:
    path = path or Path(".env")
    path.write_text(text, encoding="utf-8")
    return path


def problem(**environ: str) -> str:
    """Return the one problem that this environment has."""
    (found,) = load(**environ).problems
    return found


def refused(loaded: Settings) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        settings.check(loaded)
    return caught.value


# --- where a value comes from ------------------------------------------------------------------------------------


def test_a_flag_goes_before_the_environment_before_the_file_before_the_default() -> None:
    seen = [load().mode]
    dotenv("RUNA_MODE=sync")
    seen += [load().mode, load(RUNA_MODE="async").mode, load({"RUNA_MODE": "auto"}, RUNA_MODE="async").mode]
    expected = [("auto", "default"), ("sync", ".env"), ("async", "environment"), ("auto", "flag")]
    assert expected == [(setting.value, setting.origin) for setting in seen]


def test_the_defaults_are_those_that_are_documented() -> None:
    loaded = load()
    assert ("2024-02-05", "auto", 120.0, 300, "auto", 45, "table", False) == (
        loaded.api_version.value, loaded.mode.value, loaded.timeout.value, loaded.rate_limit.value,
        loaded.concurrency.value, loaded.look_back.value, loaded.output.value, loaded.no_color.value,
    )  # fmt: skip
    assert [None] * 4 == [
        setting.value for setting in (loaded.currency, loaded.template_id, loaded.max_total, loaded.base_url)
    ]
    assert ((), Path.home() / ".local/share/runa/ledger.db") == (loaded.products.value, loaded.ledger.value)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("RUNA_ENV", "local", "environment", "local"),
        ("RUNA_BASE_URL", "https://proxy.example.test/v2/", "base_url", "https://proxy.example.test/v2"),
        ("RUNA_API_VERSION", "2023-07-27", "api_version", "2023-07-27"),
        ("RUNA_CURRENCY", "GBP", "currency", "GBP"),
        ("RUNA_PRODUCTS", "AMZ-US, AMC-US|BAW-GB\tX-US", "products", ("AMZ-US", "AMC-US", "BAW-GB", "X-US")),
        ("RUNA_TEMPLATE_ID", "DT-1", "template_id", "DT-1"),
        ("RUNA_MODE", "async", "mode", "async"),
        ("RUNA_TIMEOUT", "0.5", "timeout", 0.5),
        ("RUNA_RATE_LIMIT", "0", "rate_limit", 0),
        ("RUNA_CONCURRENCY", "64", "concurrency", 64),
        ("RUNA_MAX_TOTAL", "1000.50", "max_total", Decimal("1000.50")),
        ("RUNA_LEDGER", "~/books/runa.db", "ledger", None),
        ("RUNA_LOOK_BACK", "0", "look_back", 0),
        ("RUNA_OUTPUT", "jsonl", "output", "jsonl"),
    ],
)
def test_each_variable_sets_its_setting(name: str, text: str, field: str, value: object) -> None:
    setting = getattr(load(**{name: text}), field)
    expected = Path.home() / "books/runa.db" if field == "ledger" else value
    assert (expected, "environment", ()) == (setting.value, setting.origin, load(**{name: text}).problems)


def test_an_empty_variable_is_none_at_all() -> None:
    dotenv("RUNA_MODE=sync\nRUNA_OUTPUT=\n")
    loaded = load(RUNA_MODE="", RUNA_OUTPUT="")
    assert ("sync", "table") == (loaded.mode.value, loaded.output.value)


@pytest.mark.parametrize(("text", "no_color"), [("1", True), ("0", True), ("", False)])
def test_any_no_color_that_is_not_empty_means_it(text: str, no_color: bool) -> None:
    assert no_color is load(NO_COLOR=text).no_color.value


# --- .env --------------------------------------------------------------------------------------------------------


def test_a_file_is_read_as_people_write_it() -> None:
    dotenv("\ufeff# ours\nexport RUNA_MODE='sync'\nRUNA_CURRENCY=\"GBP\" # pounds\n\nRUNA_TEMPLATE_ID = $HOME${X}\n")
    loaded = load()
    assert ("sync", "GBP", "$HOME${X}") == (loaded.mode.value, loaded.currency.value, loaded.template_id.value)


def test_a_parents_file_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv("RUNA_MODE=sync")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert "auto" == load().mode.value


def test_a_named_file_replaces_the_one_of_the_directory(tmp_path: Path) -> None:
    dotenv("RUNA_MODE=sync\nRUNA_OUTPUT=json")
    named = dotenv("RUNA_MODE=async", tmp_path / "other.env")
    loaded = settings.load(environ={}, env_file=named)
    assert (("async", str(named)), "table") == ((loaded.mode.value, loaded.mode.origin), loaded.output.value)


@pytest.mark.parametrize("content", [None, b"RUNA_MODE=caf\xe9"])
def test_a_named_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.env"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"^{path} cannot be read: "):
        settings.load(environ={}, env_file=path)


# --- values that are wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("RUNA_ENV", "prod", "must be one of live, playground, local, found 'prod'."),
        ("RUNA_ENV", "Live", "must be one of live, playground, local, found 'Live'."),
        ("RUNA_MODE", "fast", "must be one of auto, sync, async, found 'fast'."),
        ("RUNA_OUTPUT", "xml", "must be one of table, json, jsonl, gifts, csv, links, found 'xml'."),
        ("RUNA_TIMEOUT", "soon", "must be a number of seconds, found 'soon'."),
        ("RUNA_TIMEOUT", "0", "must be more than 0 and at most 86400 seconds, found '0'."),
        ("RUNA_TIMEOUT", "nan", "must be more than 0 and at most 86400 seconds, found 'nan'."),
        ("RUNA_TIMEOUT", "1e999", "must be more than 0 and at most 86400 seconds, found '1e999'."),
        ("RUNA_RATE_LIMIT", "-1", "must be a whole number from 0 to 100000, found '-1'."),
        ("RUNA_CONCURRENCY", "0", "must be a whole number from 1 to 64, found '0'."),
        ("RUNA_CONCURRENCY", "4.0", "must be a whole number from 1 to 64, found '4.0'."),
        ("RUNA_LOOK_BACK", "366", "must be a whole number from 0 to 365, found '366'."),
        ("RUNA_MAX_TOTAL", "1,000", "must be an amount such as 10 or 12.50, found '1,000'."),
        ("RUNA_MAX_TOTAL", "1e9", "must be an amount such as 10 or 12.50, found '1e9'."),
        ("RUNA_API_VERSION", "2024 02", "must be a version, found '2024 02'."),
        ("RUNA_API_VERSION", "a\r\nX-Evil: 1", "must be a version, found 'a\\r\\nX-Evil: 1'."),
    ],
)
def test_a_value_that_is_wrong_is_named_with_its_variable_or_flag(name: str, text: str, sentence: str) -> None:
    assert f"{name} (environment) {sentence}" == problem(**{name: text})
    with pytest.raises(UsageMistake) as caught:
        load({name: text})
    assert f"--{name[5:].lower().replace('_', '-')} {sentence}" == caught.value.message


def test_a_wrong_value_in_a_file_names_the_file() -> None:
    dotenv("RUNA_MODE=fast")
    assert (".env" in problem(), "RUNA_MODE" in problem()) == (True, True)


def test_all_that_is_wrong_is_said_at_once() -> None:
    error = refused(load(RUNA_MODE="fast", RUNA_TIMEOUT="soon", RUNA_ENV="local"))
    assert ("RUNA_MODE" in error.message, "RUNA_TIMEOUT" in error.message, 4) == (True, True, error.exit_code)


def test_a_flag_hides_what_is_wrong_below_it() -> None:
    assert () == load({"RUNA_MODE": "sync"}, RUNA_MODE="fast").problems


@pytest.mark.parametrize("name", ["RUNA_LEDGER", "RUNA_API_KEY_FILE"])
def test_the_home_of_nobody_is_a_problem_with_a_name(name: str) -> None:
    path = f"~nobody-of-that-name/{'long' * 20}/ledger"
    found = problem(**{name: path})
    assert name in found
    assert f"'{path}'" in found  # whole, for only so it can be told from others


@pytest.mark.parametrize("text", ["10", "12.50", "0", "007"])
def test_an_amount_is_plain_digits(text: str) -> None:
    assert Decimal(text) == parse_amount(text)


@pytest.mark.parametrize("text", ["", "ten", "-1", "+1", "1.", ".5", "1 000", "1_000", "1e3", "NaN", "\uff11", "1\n"])
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="must be an amount such as 10 or"):
        parse_amount(text)


# --- the key and the environment ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "environment"),
    [(LIVE, "live"), (LIVE.upper(), "live"), (PLAYGROUND, "playground"), ("xxA.b", "playground"), ("zz.b", None)],
)
def test_the_environment_follows_from_the_key(key: str, environment: str | None) -> None:
    assert environment == load(RUNA_API_KEY=key).environment.value


def test_a_key_that_tells_its_environment_is_enough() -> None:
    settings.check(load(RUNA_API_KEY=PLAYGROUND))
    assert "https://playground.runa.io/v2" == settings.request_url(load(RUNA_API_KEY=PLAYGROUND))
    assert "https://api.runa.io/v2" == settings.request_url(load(RUNA_API_KEY=LIVE))


@pytest.mark.parametrize(("key", "asked"), [(LIVE, "playground"), (PLAYGROUND, "live")])
def test_a_key_that_contradicts_the_environment_is_refused(key: str, asked: str) -> None:
    error = refused(load({"RUNA_ENV": asked}, RUNA_API_KEY=key))
    assert (4, True) == (error.exit_code, f"but the environment is {asked} (flag)" in error.message)


def test_a_key_of_no_known_kind_needs_the_environment_said() -> None:
    assert "--env" in refused(load(RUNA_API_KEY="zzz.secret")).message
    settings.check(load({"RUNA_ENV": "live"}, RUNA_API_KEY="zzz.secret"))


def test_without_a_key_the_message_names_the_way_to_try_without_one() -> None:
    error = refused(load())
    assert ("no_key", 4) == (error.code, error.exit_code)
    assert "--env local" in (error.hint or "")


def test_local_needs_no_key_and_no_url() -> None:
    loaded = load({"RUNA_ENV": "local"})
    settings.check(loaded)
    assert (None, "emulator") == (settings.request_url(loaded), loaded.account)


def test_a_live_key_does_not_keep_local_from_being_local() -> None:
    loaded = load({"RUNA_ENV": "local"}, RUNA_API_KEY=LIVE)
    settings.check(loaded)
    assert ("local", None) == (loaded.environment.value, settings.request_url(loaded))


def test_a_key_file_is_read_without_its_line_end() -> None:
    path = Path.home() / "key"
    path.write_text(f"\n{LIVE}\r\n")
    key = load(RUNA_API_KEY_FILE="~/key").api_key
    assert (ApiKey(LIVE), f"{path} (RUNA_API_KEY_FILE, environment)") == (key.value, key.origin)


def test_the_environments_key_file_goes_before_the_files_key(tmp_path: Path) -> None:
    """A `.env` that came with a directory must not replace the account that a person chose."""
    (tmp_path / "key").write_text(LIVE)
    dotenv(f"RUNA_API_KEY={PLAYGROUND}")
    assert ApiKey(LIVE) == load(RUNA_API_KEY_FILE="key").api_key.value
    assert ApiKey(PLAYGROUND) == load().api_key.value


@pytest.mark.parametrize("content", ["", " \n", "two words", "caf\u00e9.x", "a.b\nc.d"])
def test_what_is_no_key_is_a_problem_that_does_not_show_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content, encoding="utf-8")
    expected = "The key file key does not contain a key: a key is one word of plain ASCII characters."
    assert expected == problem(RUNA_API_KEY_FILE="key")


def test_a_key_file_that_cannot_be_read_is_named_with_the_reason() -> None:
    assert "The key file nowhere cannot be read: No such file or directory." == problem(RUNA_API_KEY_FILE="nowhere")


@pytest.mark.parametrize(("mode", "count"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_a_key_file_that_others_can_read_is_pointed_out(tmp_path: Path, mode: int, count: int) -> None:
    path = tmp_path / "key"
    path.write_text(LIVE)
    path.chmod(mode)
    assert mode == stat.S_IMODE(path.stat().st_mode)
    found = settings.warnings(load(RUNA_API_KEY_FILE=str(path)))
    assert [f"The key file {path} can be read by other users: chmod 600 {path}"] * count == found


@pytest.mark.parametrize("show", [repr, str])
def test_the_secret_part_of_the_key_is_never_shown(show: Any) -> None:
    loaded = load(RUNA_API_KEY=LIVE)
    assert (False, False) == ("secret~" in show(loaded), "secret~" in show(loaded.api_key.value))
    assert ("wgABC.…", "wgABC") == (str(loaded.api_key.value), loaded.account)


def test_of_a_key_without_a_dot_nothing_is_shown() -> None:
    assert ("(hidden)", "") == (str(ApiKey("wgsecret")), ApiKey("wgsecret").prefix)


def test_there_is_no_flag_for_the_key() -> None:
    assert load({"RUNA_API_KEY": LIVE}).api_key.value is None


# --- the base URL ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://api.runa.io/v2", "https://runa.io", "https://PLAYGROUND.RUNA.IO/v2", "https://api.runa.io:8443",
        "http://127.0.0.1:8080/v2", "http://localhost:1", "http://[::1]:1/v2", "https://127.8.8.8",
    ],
)  # fmt: skip
def test_a_file_may_name_runa_and_this_machine(url: str) -> None:
    dotenv(f"RUNA_BASE_URL={url}")
    assert ((url, ".env"), ()) == ((load().base_url.value, load().base_url.origin), load().problems)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/v2",
        "https://runa.io.evil.test",
        "https://evilruna.io",
        "https://evil.test/.runa.io",
        "https://evil.test?.runa.io",
        "https://evil.test#.runa.io",
        "https://api.runa.io@evil.test",
        "https://api.runa.io:x@evil.test",
        "https://evil.test:443@api.runa.io",
        "https://evil.test:443\\.runa.io/v2",
        "https://127.0.0.1.evil.test",
        "https://localhost.evil.test",
        "https://10.0.0.1",
        pytest.param("https://evil.test\\.runa.io/v2"),
    ],
)
def test_a_file_cannot_send_the_key_elsewhere(url: str) -> None:
    dotenv(f"RUNA_BASE_URL={url}\nRUNA_API_KEY={PLAYGROUND}")
    loaded = load()
    assert (None, 1) == (loaded.base_url.value, len(loaded.problems))
    assert "RUNA_BASE_URL (.env)" in refused(loaded).message


def test_the_environment_may_name_any_host() -> None:
    dotenv("RUNA_BASE_URL=https://api.runa.io/other")
    assert "https://gateway.example.test" == load(RUNA_BASE_URL="https://gateway.example.test").base_url.value


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "http://api.runa.io/v2",
            "must use https: plain http to api.runa.io would show the key to everyone on the network",
        ),
        ("http://127.0.0.1.evil.test", "must use https: plain http to 127.0.0.1.evil.test would show the key to every"),
        ("ftp://127.0.0.1", "must be a URL such as https://playground.runa.io/v2"),
        ("api.runa.io/v2", "must be a URL such as https://playground.runa.io/v2"),
        ("https:///v2", "must be a URL such as https://playground.runa.io/v2"),
        ("https://api.runa.io/v2?a=b", "must be a URL such as https://playground.runa.io/v2"),
        ("https://api.runa.io:99999", "must be a URL such as https://playground.runa.io/v2"),
        ("https://user@api.runa.io", "must not contain a user name or password"),
    ],
)
def test_a_url_that_is_unsafe_is_refused_wherever_it_comes_from(url: str, sentence: str) -> None:
    expected = f"RUNA_BASE_URL (environment) {sentence}"
    assert expected == problem(RUNA_BASE_URL=url)[: len(expected)]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("LOCALHOST", True),
        ("0.0.0.0", False), ("10.0.0.1", False), ("localhost.test", False), ("127.1", False), ("", False),
        (None, False),
    ],
)  # fmt: skip
def test_only_this_machine_is_loopback(host: str | None, expected: bool) -> None:
    assert expected is is_loopback(host)
