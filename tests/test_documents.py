"""What the documents say of the code is true: paths, names, the packages and their order, states and settings."""

import ast
import re

import pytest

from runa_cli.config.names import NAMES
from runa_cli.core.states import State
from tests.support.documented import ROOT, read
from tests.support.program import Program
from tests.test_imports import ORDER

DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
ARCHITECTURE = read("docs/architecture.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_in_a_document_exists(document: str) -> None:
    named = set(re.findall(r"`((?:runa_cli|tests|docs|completions|\.ci)/[\w./-]*)", read(document)))
    linked = {link for link in re.findall(r"\]\(([^)#]+)", read(document)) if "://" not in link}
    missing = {path for path in named if not (ROOT / path).exists()}
    missing |= {link for link in linked if not (ROOT / document).parent.joinpath(link).exists()}
    assert set() == missing


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_name_that_a_document_places_in_a_module_is_there(document: str) -> None:
    """As in "`name` in `path.py`" and "`name` (`path.py`)"; several names may share one path."""
    text = " ".join(read(document).split())
    placed = re.findall(r"((?:`\w+`(?:, | or | and )?)+)(?: in |\s\()`(runa_cli/[\w/]+\.py)`", text)
    assert placed
    missing = [
        f"{name} in {path}"
        for names, path in placed
        for name in re.findall(r"`(\w+)`", names)
        if name not in names_of(path)
    ]
    assert [] == missing


def names_of(path: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(read(path))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def test_the_table_of_packages_has_them_in_the_order_of_their_imports() -> None:
    packages = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE, re.MULTILINE)
    assert [name for name in ORDER if name != "__main__"] == packages


def test_every_state_of_an_order_is_described() -> None:
    assert {str(state) for state in State} <= set(re.findall(r"\w+", ARCHITECTURE.partition("## States")[2]))


def test_every_setting_is_in_the_example_file_and_is_shown_by_runa_config(program: Program) -> None:
    settings = {*re.findall(r'"(RUNA_\w+)"', read("runa_cli/config/settings.py"))} | {"RUNA_API_KEY"}
    assert {*NAMES} == settings | {"RUNA_API_KEY_FILE", "RUNA_API_KEY_COMMAND"}
    shown = {row["setting"] for row in program("config", "--env", "local", "--json").json}
    assert settings <= shown
    assert settings <= set(re.findall(r"^#?(RUNA_\w+)=", read(".env.example"), re.MULTILINE))
