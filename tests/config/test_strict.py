"""Settings that were meant and would be lost: misspelt names, lines that cannot be read, stray characters."""

from decimal import Decimal
from pathlib import Path

import pytest

from runa_cli.config import settings
from runa_cli.config.settings import Settings
from runa_cli.core.errors import ConfigurationError
from runa_cli.core.masking import mask_keys


def from_file(content: str | bytes) -> Settings:
    """Return the settings of a `.env` file with this content."""
    Path(".env").write_bytes(content if isinstance(content, bytes) else content.encode())
    return settings.load(environ={})


def from_environment(**environ: str) -> Settings:
    return settings.load(environ=environ)


def refused(loaded: Settings) -> str:
    """Return the message with which these settings are refused."""
    with pytest.raises(ConfigurationError) as caught:
        settings.check_readable(loaded)
    assert 4 == caught.value.exit_code
    return caught.value.message


# --- names -------------------------------------------------------------------------------------------------------

MISSPELT = [
    ("RUNA_MAXTOTAL", "RUNA_MAX_TOTAL"),
    ("RUNA_MAX_TOTALS", "RUNA_MAX_TOTAL"),
    ("RUNA_MAX_TOTLA", "RUNA_MAX_TOTAL"),
    ("RUNA_MAX-TOTAL", "RUNA_MAX_TOTAL"),
    ("runa_max_total", "RUNA_MAX_TOTAL"),
    ("Runa_Max_Total", "RUNA_MAX_TOTAL"),
    ("RUNAMAXTOTAL", "RUNA_MAX_TOTAL"),
    ("RNUA_MAX_TOTAL", "RUNA_MAX_TOTAL"),
    ("RUNA_MAX_T\u041eTAL", "RUNA_MAX_TOTAL"),  # a Cyrillic letter
    ("RUNA_MAX\u200b_TOTAL", "RUNA_MAX_TOTAL"),
    ("RUNA_POLICIE", "RUNA_POLICY"),
    ("RUNA_POLICIES", "RUNA_POLICY"),
    ("RUNA_POLICY_FILE", "RUNA_POLICY"),
    ("RUNA_MAX_TOTAL_USD", "RUNA_MAX_TOTAL"),
    ("RUNA_MAXIMUM_TOTAL", "RUNA_MAX_TOTAL"),
    ("RUNA_LEGDER", "RUNA_LEDGER"),
    ("RUNA_ENVV", "RUNA_ENV"),
    ("RUNA_API_KEY_FIL", "RUNA_API_KEY_FILE"),
    ("RUNA_LOOKBACK", "RUNA_LOOK_BACK"),
    ("RUNA_PROFIL", "RUNA_PROFILE"),
    ("RUNA_API_KEY_COMAND", "RUNA_API_KEY_COMMAND"),
]


@pytest.mark.parametrize(("name", "meant"), MISSPELT)
def test_a_name_that_is_a_typo_away_from_a_setting_is_refused_wherever_it_is_set(name: str, meant: str) -> None:
    assert f"{name} (environment): did you mean {meant}?" == refused(from_environment(**{name: "500"}))
    assert f"{name} (.env, line 3): did you mean {meant}?" == refused(from_file(f"# ours\n\n{name}=500\n"))


def test_an_unlike_name_is_left_alone_in_the_environment_and_refused_in_the_file() -> None:
    assert () == from_environment(RUNA_HOME="x", RUN_MODE="x", TUNA_ENV="x", MAX_TOTAL="5").problems
    assert "RUNA_HOME (.env, line 2) is not a setting of runa." == refused(from_file("OTHER=1\nRUNA_HOME=x\n"))
    assert () == from_file("RUN_MODE=x\nTUNA_ENV=x\nDATABASE_URL=postgres://x").problems


# --- lines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "RUNA_MAX_TOTAL: 500",
        'RUNA_MAX_TOTAL="500',
        "RUNA_MAX_TOTAL='500",
        'RUNA_MAX_TOTAL=""500""',
        "RUNA_MAX_TOTAL",
        "RUNA_MAX_TOTAL 500",
        "set RUNA_MAX_TOTAL=500",
        "export RUNA_MAX_TOTAL",
        "RUNA_MAX_TOTAL='500'0",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_cannot_be_read_is_refused_with_its_number(
    line: str, end: str, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = from_file(end.join(["# ours", "RUNA_MODE=sync", "", line, "RUNA_OUTPUT=json"]))
    assert refused(loaded).startswith(".env, line 4 cannot be read: ")
    assert ("", "") == capfd.readouterr(), "the library must not warn"


def test_a_quote_that_is_closed_in_a_later_line_does_not_hide_the_setting_between() -> None:
    content = 'OTHER="abc\nRUNA_MAX_TOTAL=500\nLAST="\n'
    assert ".env, line 1 cannot be read: a quote is not closed." == refused(from_file(content))
    assert () == from_file('OTHER="-----BEGIN\nabc\n-----END"\nRUNA_MODE=sync\n').problems


def test_two_values_for_one_setting_are_refused() -> None:
    loaded = from_file("RUNA_MAX_TOTAL=500\nRUNA_MODE=sync\nRUNA_MAX_TOTAL=\n")
    assert "RUNA_MAX_TOTAL (.env, line 3) is set to another value on line 1: remove one." == refused(loaded)
    assert () == from_file("RUNA_MODE=sync\nRUNA_MODE=sync\nOTHER=1\nOTHER=2\n").problems


def test_a_settings_file_that_is_a_link_to_nowhere_is_refused_and_a_directory_is_none(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match=r"^\.env cannot be read: No such file or directory\.$"):
        settings.load(environ={})
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()  # a virtual environment
    assert () == settings.load(environ={}).problems


# --- values ------------------------------------------------------------------------------------------------------

STRAY = [
    ("led.db\r", "carriage return"),
    ("led\r.db", "carriage return"),
    ("led.db\n", "line break"),
    ("\ufeffled.db", "byte order mark"),
    ("led\u200b.db", "zero-width space"),
    ("led.db\xa0", "no-break space"),
    ("led\u2003.db", "character U+2003"),
    (" led.db", "blank at its begin or end"),
    ("led.db ", "blank at its begin or end"),
    ('"led.db"', "quotation mark"),
    ("'led.db", "quotation mark"),
    ('led.db"', "quotation mark"),
    ("\u201cled.db\u201d", "quotation mark"),
]


@pytest.mark.parametrize(("value", "stray"), STRAY)
@pytest.mark.parametrize("name", ["RUNA_LEDGER", "RUNA_API_KEY_FILE", "RUNA_TEMPLATE_ID", "RUNA_PRODUCTS"])
def test_what_an_editor_or_a_shell_left_in_a_value_is_refused(name: str, value: str, stray: str) -> None:
    expected = f"{name} (environment) has a stray {stray} in its value: remove it."
    assert expected == refused(from_environment(**{name: value}))


@pytest.mark.parametrize("value", ["xxk.secret\r", '"xxk.secret"', "\ufeffxxk.secret", " xxk.secret"])
def test_a_stray_character_in_the_key_is_refused_without_showing_the_key(value: str) -> None:
    message = refused(from_environment(RUNA_API_KEY=value))
    assert ("RUNA_API_KEY (environment) has a stray", False) == (message[:38], "secret" in message)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('RUNA_LEDGER="led.db', ".env, line 1 cannot be read"),
        ("RUNA_LEDGER=led.db\xa0", ".env, line 1 sets RUNA_LEDGER to a value with a no-break space in it: remove it."),
        ('RUNA_LEDGER="led.db\xa0"', "RUNA_LEDGER (.env, line 1) has a stray no-break space in its value: remove it."),
        ('RUNA_LEDGER=""led.db""', ".env, line 1 cannot be read"),
        ("RUNA_LEDGER='\"led.db\"'", "RUNA_LEDGER (.env, line 1) has a stray quotation mark in its value: remove it."),
        ('RUNA_LEDGER=led.db"', "RUNA_LEDGER (.env, line 1) has a stray quotation mark in its value: remove it."),
        (r'RUNA_LEDGER="led.db\r"', "RUNA_LEDGER (.env, line 1) has a stray carriage return in its value: remove it."),
        (r'RUNA_LEDGER="C:\new"', "RUNA_LEDGER (.env, line 1) has a stray line break in its value: remove it."),
        ("RUNA_LEDGER=\ufeffled.db", ".env, line 1 sets RUNA_LEDGER to a value with a byte order mark in it"),
    ],
)
def test_a_stray_part_of_a_value_in_the_file_is_refused_with_its_line(line: str, expected: str) -> None:
    assert expected == refused(from_file(line + "\n"))[: len(expected)]


@pytest.mark.parametrize("path", ["/home/O'Brien/my ledger.db", "led.db", "~/x", "/d\u00e9p\u00f4t/led.db"])
def test_a_path_may_hold_blanks_apostrophes_and_letters_of_any_language(path: str) -> None:
    assert () == from_environment(RUNA_LEDGER=path).problems
    loaded = from_file(f'RUNA_LEDGER="{path}"\n')
    assert ((), Path(path).expanduser()) == (loaded.problems, loaded.ledger.value)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_line_ends_and_a_byte_order_mark_of_the_file_are_fine(end: bytes) -> None:
    loaded = from_file(b"\xef\xbb\xbf" + end.join([b"RUNA_LEDGER=led.db", b"RUNA_MAX_TOTAL='500'", b""]))
    assert ((), Path("led.db"), Decimal(500)) == (loaded.problems, loaded.ledger.value, loaded.max_total.value)


def test_a_byte_order_mark_of_the_key_file_is_no_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbfxxk.secret\r\n")
    loaded = from_environment(RUNA_API_KEY_FILE="key")
    assert ("xxk.secret", "playground") == (getattr(loaded.api_key.value, "value", None), loaded.environment.value)


# --- keys in the wrong place -------------------------------------------------------------------------------------

EVERY_OTHER = [
    "RUNA_API_KEY_FILE", "RUNA_ENV", "RUNA_BASE_URL", "RUNA_API_VERSION", "RUNA_CURRENCY", "RUNA_PRODUCTS",
    "RUNA_TEMPLATE_ID", "RUNA_MODE", "RUNA_TIMEOUT", "RUNA_RATE_LIMIT", "RUNA_CONCURRENCY", "RUNA_MAX_TOTAL",
    "RUNA_LEDGER", "RUNA_LOOK_BACK", "RUNA_OUTPUT", "RUNA_PROFILE", "RUNA_API_KEY_COMMAND",
]  # fmt: skip


@pytest.mark.parametrize("name", EVERY_OTHER)
@pytest.mark.parametrize("key", ["wgabc.secret", "XXabc.secret~p/art+=", "wgabcdefgh1234567secret"])
def test_a_key_that_was_put_into_another_setting_is_refused_without_being_shown(name: str, key: str) -> None:
    for loaded in (from_environment(**{name: key}), from_file(f"{name}={key}\n")):
        message = refused(loaded)
        assert (True, False) == (message.startswith(f"{name} ("), "secret" in message), message


def test_a_key_of_other_letters_is_recognised_as_the_one_that_is_set() -> None:
    loaded = from_environment(RUNA_API_KEY="zz.verysecret~part", RUNA_ENV="zz.verysecret~part")
    assert "secret" not in refused(loaded)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("found wgabc.secret here", "found wgabc.… here"),
        ("https://xxabc.secret/v2", "https://xxabc.…"),
        ("wgabcdefghijklmnopqrstuv", "(hidden)"),
        ("xx.db", "xx.db"),
        ("/data/wg-team.sqlite3", "/data/wg-team.sqlite3"),
        ("https://api.runa.io/v2", "https://api.runa.io/v2"),
    ],
)
def test_only_the_prefix_of_what_looks_like_a_key_is_shown(text: str, expected: str) -> None:
    assert expected == mask_keys(text)


@pytest.mark.parametrize("path", ["xx.db", "/data/wgteam.live/led.db", "~/wg.sqlite"])
def test_a_ledger_may_have_a_name_like_a_key(path: str) -> None:
    assert () == from_environment(RUNA_LEDGER=path).problems
