"""Each recipe of docs/recipes.md works as it stands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Emulate
from tests.support.documented import blocks, check_examples, put_on_path
from tests.support.program import KEY, Program, orders_at

RECIPES = "docs/recipes.md"
pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="the recipes pipe into jq, which is not installed")


@pytest.fixture
def runa(program: Program, tmp_path: Path) -> Program:
    """Return the program as a shell finds it, with the emulator for Runa."""
    put_on_path(program, tmp_path)
    program.env["RUNA_ENV"] = "local"
    program("ledger", "init")  # else the first command announces the new ledger
    return program


@pytest.mark.slow
def test_the_examples_print_what_is_shown(runa: Program) -> None:
    (script,) = (block for block in blocks(RECIPES, "sh") if block.startswith("#!"))
    (runa.home / "issue.sh").write_text(script)
    check_examples(runa, RECIPES)


def test_the_script_runs_a_command_of_unknown_outcome_again(runa: Program, emulate: Emulate) -> None:
    """The answers to the first attempts are lost, and the first run gives up waiting for one."""
    emulator = emulate("lost-after@1-2")
    (script,) = (block for block in blocks(RECIPES, "sh") if block.startswith("#!"))
    (runa.home / "issue.sh").write_text(script)
    (runa.home / "team.csv").write_text("face_value,email\n10,hal@example.com\n")
    ran = runa.execute(["sh", "issue.sh", "team.csv", "autumn"], PAUSE="0", RUNA_TIMEOUT="1")
    assert (0, "autumn: issued\n") == (ran.code, ran.out)
    assert 1 == len(orders_at(emulator))


def test_the_line_of_cron_issues_once_and_writes_the_results_again(runa: Program) -> None:
    """Run as cron does: by sh, with HOME and little else."""
    (crontab,) = blocks(RECIPES, "cron")
    *settings, line = crontab.splitlines()
    assert any(setting.startswith("PATH=") for setting in settings)
    command = line.split(maxsplit=5)[5].replace("\\%", "%")
    (runa.home / "gifts").mkdir()
    (runa.home / "runa.key").write_text(KEY)
    (runa.home / "runa.key").chmod(0o600)
    (runa.home / "team.csv").write_text("reference,face_value,email\nE7,10,hal@example.com\nE8,20,ida@example.com\n")
    results = runa.home / "gifts" / "results.csv"
    assert 0 == runa.execute(["sh", "-c", command]).code
    first = results.read_text()
    assert 2 == first.count("/gift/")
    assert 0 == runa.execute(["sh", "-c", command]).code
    assert first == results.read_text()


def test_the_service_of_systemd_issues_the_batch(runa: Program) -> None:
    service, _ = blocks(RECIPES, "ini")
    (runa.home / "gifts.csv").write_text("face_value,email,product\n10,hal@example.com,AMZ-US\n")
    (command,) = re.findall(r"^ExecStart=/bin/sh -c '(.*)'$", service, re.MULTILINE)
    assert 0 == runa.execute(["sh", "-c", command.replace("$$", "$").replace("%%", "%")]).code
    assert 1 == (runa.home / "results.csv").read_text().count("/gift/")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units = [tmp_path / "runa-bonus.service", tmp_path / "runa-bonus.timer"]
    for unit, text in zip(units, blocks(RECIPES, "ini"), strict=True):
        unit.write_text(text)
    checked = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (0, "") == (checked.returncode, checked.stderr)
