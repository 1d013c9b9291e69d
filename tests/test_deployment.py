"""The image keeps to the rules that its documentation tells, and the example of a workflow does what it says."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Emulate
from tests.support.csv_files import gifts, sheet
from tests.support.documented import put_on_path
from tests.support.program import Program, posts
from tests.support.ran import Ran

PROJECT = Path(__file__).parents[1]
WORKFLOW = PROJECT / "docs/ci-github-actions.yml"


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, with continued lines joined."""
    text = re.sub(r"^#.*\n", "", (PROJECT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", "").splitlines()
    return [(name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in lines if line)]


def told(name: str) -> list[str]:
    return [rest for kind, rest in instructions() if kind == name]


def environment() -> dict[str, str]:
    """Return the variables of the image."""
    (line,) = told("ENV")
    return dict(re.findall(r"(\w+)=(\S+)", line))


# --- the image -------------------------------------------------------------------------------------------------------


def test_the_image_runs_as_a_user_without_rights() -> None:
    """By number, so that Kubernetes can tell that it is not root."""
    assert [("USER", "10001:10001")] == [each for each in instructions() if each[0] == "USER"]
    last_copy = max(number for number, (name, _) in enumerate(instructions()) if name in {"COPY", "RUN"})
    assert last_copy < instructions().index(("USER", "10001:10001"))


def test_the_image_is_built_from_a_named_version_and_takes_no_tools_along() -> None:
    assert ["3.13"] == re.findall(r"^ARG PYTHON=(.*)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert ["python:${PYTHON}-slim AS build", "python:${PYTHON}-slim"] == told("FROM")
    assert [] == told("ADD")
    assert all("--no-cache-dir" in line for line in told("RUN") if "pip install" in line)
    assert ["--from=build /opt/runa /opt/runa"] == told("COPY")[1:]


def test_a_signal_reaches_the_program() -> None:
    """In a shell's place, so that Ctrl-C and `docker stop` end in a recorded state."""
    assert ['["runa"]'] == told("ENTRYPOINT")


def test_what_is_written_is_below_the_volumes_or_tmp() -> None:
    (volumes,) = told("VOLUME")
    assert '["/data", "/state"]' == volumes
    places = {name: value for name, value in environment().items() if name == "HOME" or name.startswith("XDG_")}
    assert {"HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"} == places.keys()
    assert all(value.startswith(("/data", "/state", "/tmp")) for value in places.values())
    assert "1" == environment()["PYTHONDONTWRITEBYTECODE"]


def test_the_image_gets_nothing_but_what_it_is_built_from() -> None:
    """Above all no settings file, and no history."""
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert "*" == rules[0]
    named = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    assert all((PROJECT / name).exists() for name in named)
    data = re.findall(r'^"share/.*\["(.*)"\]$', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    assert {"README.md", "pyproject.toml", "runa_cli", *data} == {*named}


# --- the workflow ----------------------------------------------------------------------------------------------------


def workflow() -> Any:
    return yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))


def steps() -> dict[str, str]:
    """Return the scripts of the workflow by the names of their steps."""
    return {step["name"]: step["run"] for step in workflow()["jobs"]["issue"]["steps"] if "run" in step}


def in_shell(program: Program, script: str, **env: str) -> Ran:
    """Run a script as the runner does, where `runa` is this program."""
    return program.execute(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], **env)


def test_the_workflow_is_valid_and_reads_its_secrets_as_such() -> None:
    job = workflow()["jobs"]["issue"]
    assert {"contents": "read"} == workflow()["permissions"]
    assert {"${{ secrets.RUNA_API_KEY }}", "${{ secrets.RUNA_LEDGER_PASSWORD }}"} == {
        value for value in job["env"].values() if "secrets." in value
    }
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_no_script_of_the_workflow_has_an_input_pasted_into_it() -> None:
    """What looks like a command in a name would be run."""
    assert [] == [name for name, script in steps().items() if "${{" in script]


def test_the_workflow_issues_a_list_once_and_prints_no_link(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    put_on_path(program, program.home)
    sheet(program.home / "2026-11 bonus.csv", gifts(3))
    env = {"LIST": "2026-11 bonus.csv", "MOST": "100"}
    shown = in_shell(program, steps()["Show what is new"], **env)
    assert 0 == shown.code, shown.err
    assert re.search(r"^ *New +3 gifts, 33.00 USD$", shown.out, re.MULTILINE)
    for _ in range(2):
        issued = in_shell(program, steps()["Issue it"], **env)
        assert (0, "") == (issued.code, issued.out), issued.err
        assert "/gift/" not in issued.err
    assert 1 == posts(emulator)


def test_the_workflow_repeats_what_it_could_not_tell_and_pays_once(program: Program, emulate: Emulate) -> None:
    emulator = emulate("lost-after@*")
    put_on_path(program, program.home)
    sheet(program.home / "list.csv", gifts(2))
    issued = in_shell(program, steps()["Issue it"], LIST="list.csv", MOST="100", RUNA_TIMEOUT="1")
    assert 7 == issued.code
    assert [f"Attempt {number} did not finish." for number in (1, 2, 3)] == issued.out.splitlines()
    assert {"USD": 21} == emulator.spent


@pytest.mark.parametrize(("most", "code"), [("10", 6), ("lots", 2)])
def test_the_workflow_fails_with_the_code_of_the_program(
    program: Program, emulate: Emulate, most: str, code: int
) -> None:
    emulator = emulate()
    put_on_path(program, program.home)
    sheet(program.home / "list.csv", gifts(2))
    assert code == in_shell(program, steps()["Issue it"], LIST="list.csv", MOST=most).code
    assert 0 == posts(emulator)
