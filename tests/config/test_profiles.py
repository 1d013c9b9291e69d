"""Profiles: sets of settings in `config.toml`, of which one is chosen by its name."""

import os
from decimal import Decimal
from pathlib import Path

import pytest

from runa_cli.config import profiles, settings
from runa_cli.config.api_key import ApiKey
from runa_cli.config.ledger_address import ServerLedger
from runa_cli.config.names import NAMES
from runa_cli.config.settings import Settings
from runa_cli.core.errors import ConfigurationError, UsageMistake

KEY = "xxacme.secret~part"


def written(text: str | bytes) -> Path:
    """Write the file of profiles, and return its path."""
    path = Path.home() / ".config/runa/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def of_profile(text: str, **environ: str) -> Settings:
    """Return the settings of the profile `acme`, which consists of these lines."""
    written(f"[profile.acme]\n{text}\n")
    return settings.load({"RUNA_PROFILE": "acme"}, environ=environ)


def refusal(text: str | bytes) -> ConfigurationError:
    """Return the error with which a whole file is refused."""
    written(text)
    with pytest.raises(ConfigurationError) as caught:
        settings.load({"RUNA_PROFILE": "acme"}, environ={})
    return caught.value


# --- what a profile sets -----------------------------------------------------------------------------------------


def test_a_profile_takes_every_setting_in_lower_case_but_the_key_itself() -> None:
    expected = {name.removeprefix("RUNA_").lower() for name in NAMES} - {"api_key", "profile"}
    assert expected == {*profiles.setting_names()}


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('env = "local"', "environment", "local"),
        ('base_url = "https://gateway.example.com/runa"', "base_url", "https://gateway.example.com/runa"),
        ('currency = "USD"', "currency", "USD"),
        ('products = ["AMZ-US", "X-US"]', "products", ("AMZ-US", "X-US")),
        ('products = "AMZ-US|X-US"', "products", ("AMZ-US", "X-US")),
        ("timeout = 7.5", "timeout", 7.5),
        ("rate_limit = 60", "rate_limit", 60),
        ('concurrency = "auto"', "concurrency", "auto"),
        ("max_total = 500.50", "max_total", Decimal("500.50")),
        ('max_total = "500.50"', "max_total", Decimal("500.50")),
        ('output = "csv"', "output", "csv"),
    ],
)
def test_a_setting_of_the_profile_has_the_profile_as_its_origin(line: str, field: str, value: object) -> None:
    loaded = of_profile(line)
    assert (value, "profile acme", ()) == (
        getattr(loaded, field).value,
        getattr(loaded, field).origin,
        loaded.problems,
    )


def test_the_environment_and_the_file_of_the_directory_go_before_the_profile() -> None:
    Path(".env").write_text("RUNA_CURRENCY=GBP\n")
    loaded = of_profile('mode = "sync"\ncurrency = "USD"\noutput = "csv"', RUNA_MODE="async")
    assert [("async", "environment"), ("GBP", ".env"), ("csv", "profile acme")] == [
        (setting.value, setting.origin) for setting in (loaded.mode, loaded.currency, loaded.output)
    ]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('ledger = "acme.db"', ".config/runa/acme.db"),
        ('ledger = "~/books/acme.db"', "books/acme.db"),
        ('ledger = "/srv/acme.db"', "/srv/acme.db"),
    ],
)
def test_a_relative_path_is_beside_the_file_wherever_the_program_is_started(line: str, value: str) -> None:
    assert Path.home() / value == of_profile(line).ledger.value


def test_the_ledger_of_a_profile_may_be_on_a_server() -> None:
    assert ServerLedger("postgresql://runa@db/runa") == of_profile('ledger = "postgresql://runa@db/runa"').ledger.value


def test_a_key_file_of_the_profile_is_read() -> None:
    written("")
    (Path.home() / ".config/runa/acme.key").write_text(KEY)
    loaded = of_profile('api_key_file = "acme.key"')
    path = Path.home() / ".config/runa/acme.key"
    assert (ApiKey(KEY), f"{path} (RUNA_API_KEY_FILE, profile acme)", "playground") == (
        loaded.api_key.value,
        loaded.api_key.origin,
        loaded.environment.value,
    )
    assert [f"The key file {path} can be read by other users: chmod 600 {path}"] == settings.warnings(loaded)


def test_a_byte_order_mark_and_any_line_ends_of_the_file_are_fine() -> None:
    written(b'\xef\xbb\xbf[profile.acme]\r\nmode = "sync"\r\n')
    assert "sync" == settings.load({"RUNA_PROFILE": "acme"}, environ={}).mode.value


# --- which profile -----------------------------------------------------------------------------------------------


def test_a_profile_is_chosen_by_flag_before_the_environment_before_the_file_of_the_directory() -> None:
    written('[profile.one]\nmode = "sync"\n[profile.two]\nmode = "async"\n[profile.three]\n')
    Path(".env").write_text("RUNA_PROFILE=three\n")
    seen = [
        settings.load(environ={}),
        settings.load(environ={"RUNA_PROFILE": "two"}),
        settings.load({"RUNA_PROFILE": "one"}, environ={"RUNA_PROFILE": "two"}),
    ]
    expected = [("three", "auto"), ("two", "async"), ("one", "sync")]
    assert expected == [(loaded.profile.value, loaded.mode.value) for loaded in seen]


def test_without_a_chosen_profile_the_file_is_not_used() -> None:
    written("[this is no TOML")
    assert ("auto", ()) == (settings.load(environ={}).mode.value, settings.load(environ={}).problems)


def test_a_profile_that_there_is_not_is_refused_with_those_there_are() -> None:
    path = written("[profile.acme-live]\n[profile.play]\n")
    with pytest.raises(ConfigurationError) as caught:
        settings.load({"RUNA_PROFILE": "acme-liv"}, environ={})
    assert ("no_profile", 4) == (caught.value.code, caught.value.exit_code)
    assert f"There is no profile 'acme-liv' (flag) in {path}. Did you mean acme-live?" == caught.value.message
    assert "Its profiles: acme-live, play." == caught.value.hint


def test_without_a_file_there_is_no_profile() -> None:
    with pytest.raises(ConfigurationError, match=r"There is no profile 'acme' \(environment\) in /.*/config\.toml\."):
        settings.load(environ={"RUNA_PROFILE": "acme"})


def test_an_empty_name_is_not_taken_for_no_profile() -> None:
    with pytest.raises(UsageMistake, match="--profile must be the name of a profile"):
        settings.load({"RUNA_PROFILE": ""}, environ={})


# --- which key pays ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RUNA_API_KEY", "RUNA_API_KEY_FILE", "RUNA_API_KEY_COMMAND"])
@pytest.mark.parametrize("line", ["", 'api_key_file = "acme.key"'])
def test_a_key_in_the_environment_beside_a_chosen_profile_is_refused(name: str, line: str) -> None:
    (problem,) = of_profile(line, **{name: KEY}).problems
    assert f"{name} (environment) names a key beside the chosen profile acme: " == problem[: problem.index("unset")]


def test_a_key_of_the_directorys_file_beside_a_chosen_profile_is_refused() -> None:
    Path(".env").write_text(f"# ours\nRUNA_API_KEY={KEY}\n")
    (problem,) = of_profile("").problems
    assert "RUNA_API_KEY (.env, line 2) names a key beside the chosen profile acme" in problem


def test_a_key_in_the_environment_that_differs_from_that_of_a_named_file_is_refused(tmp_path: Path) -> None:
    named = tmp_path / "acme.env"
    named.write_text(f"RUNA_API_KEY={KEY}\n")
    (problem,) = settings.load(environ={"RUNA_API_KEY": "xxother.key"}, env_file=named).problems
    assert f"RUNA_API_KEY (environment) is another key than that of {named}: " in problem
    same = settings.load(environ={"RUNA_API_KEY": KEY}, env_file=named)
    assert ((), ApiKey(KEY)) == (same.problems, same.api_key.value)


@pytest.mark.parametrize(
    ("line", "variable"),
    [
        ('env = "live"', "RUNA_ENV=playground"),
        ('ledger = "/srv/acme.db"', "RUNA_LEDGER=/srv/other.db"),
        ("max_total = 100", "RUNA_MAX_TOTAL=500"),
        ('base_url = "https://api.runa.io/v2"', "RUNA_BASE_URL=http://127.0.0.1:1/v2"),
    ],
)
def test_the_directorys_file_and_the_profile_must_agree_on_who_pays_and_how_much(line: str, variable: str) -> None:
    Path(".env").write_text(f"{variable}\n")
    name, _, value = variable.partition("=")
    (problem,) = of_profile(line).problems
    assert f"{name} (.env, line 1) is another than that of " == problem[: problem.index("/")]
    assert () == of_profile(line, **{name: value}).problems, "the environment decides"


# --- what is wrong with a file -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f'api_key = "{KEY}"', "api_key is not allowed: no profile holds the key itself."),
        (f'RUNA_API_KEY = "{KEY}"', "RUNA_API_KEY is not allowed: no profile holds the key itself."),
        (f'"{KEY}" = "x"', "xxacme.… is not a setting."),
        (f'ledger = "{KEY}"', "ledger holds what looks like an API key: no profile holds the key itself."),
        ("max_totl = 5", "max_totl is not a setting; it is written max_total."),
        ("RUNA_MAX_TOTAL = 5", "RUNA_MAX_TOTAL is not a setting; it is written max_total."),
        ("colour = 5", "colour is not a setting."),
        ('profile = "b"', "profile is not a setting."),
        ("currency = 5", "currency must be text in double quotes."),
        ('currency = ["USD"]', "currency must be text in double quotes."),
        ('currency = ""', "currency is empty: remove it."),
        ("products = [5]", "products must be text in double quotes, or a list of it."),
        ("timeout = true", "timeout must be a number."),
        ("max_total = 2026-01-01", "max_total must be a number."),
        ('api_key_file = "k"\napi_key_command = "c"', "api_key_file and api_key_command name a key each: remove one."),
    ],
)
def test_what_is_wrong_in_a_profile_is_named_with_the_file_and_without_a_key(line: str, problem: str) -> None:
    loaded = of_profile(line)
    place = f"{Path.home()}/.config/runa/config.toml, profile acme: "
    assert (place + problem, False) == (loaded.problems[0][: len(place + problem)], "secret" in str(loaded.problems))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('mode = "fast"', "must be one of auto, sync, async, found 'fast'."),
        ("max_total = 1e9", "must be an amount such as 10 or 12.50, found '1E+9'."),
        ('currency = "USD\\r"', "has a stray carriage return in its value: remove it."),
    ],
)
def test_a_wrong_value_is_named_with_the_file(line: str, problem: str) -> None:
    (found,) = of_profile(line).problems
    name = f"RUNA_{line.partition(' ')[0].upper()}"
    assert f"{name} ({Path.home()}/.config/runa/config.toml, profile acme) {problem}" == found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[profile.acme]\nmode = sync\n", ", line 2, column 8: cannot be read as TOML."),
        ("[profile.acme]\n[profile.acme]\n", ", line 2, column 14: cannot be read as TOML."),
        ('[profile.acme]\nmode = "sync', ", its end: cannot be read as TOML."),
        (b"[profile.acme]\n# caf\xe9\n", " cannot be read: it is not UTF-8 text (byte 21)."),
        ('[profiles.acme]\nmode = "sync"\n', ": profiles belongs to no profile, which is a table [profile.NAME]."),
        ('mode = "sync"\n[profile.acme]\n', ": mode belongs to no profile, which is a table [profile.NAME]."),
        ('[profile]\nmode = "sync"\n', ": mode belongs to no profile, which is a table [profile.NAME]."),
        ('profile = "acme"\n', ": profile is not a table; a profile is a table [profile.NAME]."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(content: str | bytes, message: str) -> None:
    shown = refusal(content).message
    expected = f"{Path.home()}/.config/runa/config.toml{message}"
    assert expected == shown


@pytest.mark.parametrize("mode", [0o602, 0o622, 0o666])
def test_a_file_that_others_may_write_to_is_not_used(mode: int) -> None:
    path = written("[profile.acme]\n")
    path.chmod(mode)
    with pytest.raises(ConfigurationError) as caught:
        settings.load({"RUNA_PROFILE": "acme"}, environ={})
    assert f"{path} is not used: other users may change it, and it may name a command to run." == caught.value.message
    assert f"chmod go-w {path}" in (caught.value.hint or "")


def test_a_file_in_a_directory_that_others_may_write_to_is_not_used() -> None:
    path = written("[profile.acme]\n")
    path.parent.chmod(0o777)
    with pytest.raises(ConfigurationError, match=f"other users may change {path.parent}, and"):
        settings.load({"RUNA_PROFILE": "acme"}, environ={})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_used() -> None:
    os.chown(written("[profile.acme]\n"), 12345, -1)
    with pytest.raises(ConfigurationError, match="is not used: other users may change it"):
        settings.load({"RUNA_PROFILE": "acme"}, environ={})
