"""The commands and examples of the README and of the guide do what they say."""

import re
import shutil
from pathlib import Path

import pytest

from runa_cli.core import errors
from tests import pictures
from tests.support.documented import blocks, check_examples, examples, put_on_path, read
from tests.support.program import Program

README = read("README.md")
TRY = re.findall(r"<!-- try -->\n```sh\n.* (?:&& \.venv/bin/runa (.*))\n```", README)


@pytest.mark.skipif(shutil.which("jq") is None, reason="the examples pipe into jq, which is not installed")
def test_the_try_it_order_and_then_the_examples_print_what_the_readme_shows(program: Program, tmp_path: Path) -> None:
    """In one home and in their order, as a reader runs them."""
    put_on_path(program, tmp_path)
    (order,) = TRY
    tried = program.execute(["sh", "-c", f"runa {order}"])
    assert (0, 1) == (tried.code, tried.out.count("/gift/"))
    program.env["RUNA_ENV"] = "local"
    assert len(examples("README.md")) >= 6
    check_examples(program, "README.md")


@pytest.mark.skipif(shutil.which("jq") is None, reason="the examples pipe into jq, which is not installed")
def test_the_examples_of_the_guide_print_what_it_shows(program: Program, tmp_path: Path) -> None:
    put_on_path(program, tmp_path)
    program.env["RUNA_ENV"] = "local"
    program("ledger", "init")  # else the first example announces the new ledger
    check_examples(program, "docs/guide.md")


def test_the_example_of_a_policy_prints_what_its_document_shows(program: Program, tmp_path: Path) -> None:
    put_on_path(program, tmp_path)
    program.env["RUNA_ENV"] = "local"
    (policy,) = blocks("docs/policy.md", "toml")
    (program.home / "policy.toml").write_text(policy)
    check_examples(program, "docs/policy.md")


def test_the_exit_codes_are_the_ones_the_program_has() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert documented == {0, *(kind.exit_code for kind in kinds(errors.RunaError))}


def kinds(kind: type[errors.RunaError]) -> set[type[errors.RunaError]]:
    return {kind}.union(*map(kinds, kind.__subclasses__()))


def test_the_picture_shows_what_the_program_prints_today() -> None:
    assert read("docs/pictures/batch.svg") == pictures.of_a_batch(), "draw it anew: python -m tests.pictures"
