"""RUNA_API_KEY_COMMAND: the key that a command prints, run without a shell and for so long as a person may need."""

import shlex
import sys
from pathlib import Path

import pytest

from runa_cli.config import settings
from runa_cli.config.api_key import ApiKey
from runa_cli.config.key_command import printed_by

KEY = "xxacme.secret~part"


def problem(command: str) -> str:
    """Return the one problem with a command in the environment."""
    (found,) = settings.load(environ={"RUNA_API_KEY_COMMAND": command}).problems
    return found


def test_the_key_is_what_the_command_prints_without_its_line_end() -> None:
    loaded = settings.load(environ={"RUNA_API_KEY_COMMAND": f"echo {KEY}"})
    assert (ApiKey(KEY), "echo (RUNA_API_KEY_COMMAND, environment)", "playground") == (
        loaded.api_key.value,
        loaded.api_key.origin,
        loaded.environment.value,
    )


def test_a_command_is_split_as_a_shell_does_it_and_run_without_one() -> None:
    script = "import sys; print(sys.argv[1:])"
    command = f"""{sys.executable} -c {shlex.quote(script)} 'a b' "c;d" $HOME ~ e\\ f"""
    assert "['a b', 'c;d', '$HOME', '~', 'e f']\n" == printed_by(command)


def test_what_the_command_says_on_standard_error_is_let_through(capfd: pytest.CaptureFixture[str]) -> None:
    printed_by("sh -c 'echo Touch your key >&2'")
    assert ("", "Touch your key\n") == capfd.readouterr()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("false", "gave no key: false ended with exit code 1."),
        ("sh -c 'kill -9 $$'", "gave no key: sh was ended by signal 9."),
        ("no-such-program x", "cannot run no-such-program: No such file or directory. It is run without a shell,"),
        ("sh -c 'echo x", "cannot be split into words: a quote is not closed, or a backslash ends it."),
        ("echo x\r", "has a stray carriage return in its value: remove it."),
        ("yes", "gave no key: yes printed more than a key."),
        ("printf '\\377'", "gave no key: printf printed what is not text."),
        (" ", "is empty."),
        (KEY, "holds what looks like an API key, not a command: the key belongs in RUNA_API_KEY."),
    ],
)
def test_a_command_that_gives_no_key_is_a_problem_with_its_reason(command: str, expected: str) -> None:
    full = f"RUNA_API_KEY_COMMAND (environment) {expected}"
    assert full == problem(command)[: len(full)]


@pytest.mark.parametrize("printed", ["", "two words", "secret\\nsecret"])
def test_what_is_printed_and_no_key_is_not_shown(printed: str) -> None:
    assert (
        "What printf printed for RUNA_API_KEY_COMMAND (environment) does not contain a key: a key is one word of plain"
        " ASCII characters."
    ) == problem(f"printf '{printed}'")


@pytest.mark.parametrize("script", ["exec sleep 60", "sleep 5 & exit 0"])
def test_a_command_that_takes_too_long_is_stopped(script: str) -> None:
    """Also where only what it started holds its output open."""
    with pytest.raises(ValueError, match=r"^gave no key within 0\.2 s: sh was stopped$"):
        printed_by(f"sh -c {shlex.quote(script)}", seconds=0.2)


def test_local_needs_no_key_and_runs_no_command() -> None:
    loaded = settings.load(environ={"RUNA_API_KEY_COMMAND": "touch ran", "RUNA_ENV": "local"})
    assert ((), None, False) == (loaded.problems, loaded.api_key.value, Path("ran").exists())


@pytest.mark.parametrize("named", [False, True])
def test_a_settings_file_cannot_run_a_command(named: bool) -> None:
    path = Path("other.env" if named else ".env").absolute()
    path.write_text("RUNA_API_KEY_COMMAND=touch ran\n")
    (found,) = settings.load(environ={}, env_file=path if named else None).problems
    origin = path if named else ".env"
    assert f"RUNA_API_KEY_COMMAND ({origin}, line 1) is not run: a settings file comes with its directory" in found
    assert not Path("ran").exists()


def test_a_profile_may_name_a_command() -> None:
    path = Path.home() / ".config/runa/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'[profile.acme]\napi_key_command = "echo {KEY}"\n')
    loaded = settings.load(environ={"RUNA_PROFILE": "acme"})
    assert (ApiKey(KEY), "echo (RUNA_API_KEY_COMMAND, profile acme)") == (loaded.api_key.value, loaded.api_key.origin)
