"""Data flows one way: a package imports only those before it, and a command loads only what it needs."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import runa_cli
from runa_cli import cli
from tests.support.program import KEY, Program

ROOT = Path(runa_cli.__file__).parent
# Each may import those before it, and itself.
ORDER = ("core", "config", "ledger", "api", "input", "issuing", "output", "app", "commands", "cli", "__main__")
STARTS_THE_EMULATOR = {"app/session.py", "commands/emulator.py"}
MODULES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
CLIENT = [name for name in MODULES if not name.startswith("emulator/")]


def package_of(module: str) -> str:
    """Return the package (or the single module) below `runa_cli` that a dotted name lies in; empty for the top."""
    return module.removeprefix("runa_cli").lstrip(".").partition(".")[0]


def imported(name: str) -> Iterator[str]:
    """Yield the packages of this program that a module imports, on its first lines or when a function runs."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert 0 == node.level, f"{name} imports relatively, which this test does not follow"
            if node.module == "runa_cli":
                yield from (alias.name for alias in node.names if alias.name != "__version__")
            elif node.module and node.module.startswith("runa_cli."):
                yield package_of(node.module)
        elif isinstance(node, ast.Import):
            yield from (package_of(alias.name) for alias in node.names if alias.name.startswith("runa_cli"))


@pytest.mark.parametrize("name", [name for name in CLIENT if name != "__init__.py"])
def test_a_package_imports_only_those_before_it(name: str) -> None:
    own = name.partition("/")[0].removesuffix(".py")
    allowed = {*ORDER[: ORDER.index(own) + 1], "emulator"}
    assert set() == set(imported(name)) - allowed


def test_no_two_modules_need_each_other() -> None:
    """They would fail whenever the wrong one of them is imported first."""
    graph = {name: set(needed_at_once(name)) for name in MODULES}
    assert len(MODULES) == len([*graphlib.TopologicalSorter(graph).static_order()])


def needed_at_once(name: str) -> Iterator[str]:
    """Yield the modules that a module imports when it is imported itself."""
    for node in ast.parse(MODULES[name].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("runa_cli"):
            parent = node.module.replace(".", "/").removeprefix("runa_cli").lstrip("/")
            for alias in node.names:
                inner = f"{parent}/{alias.name}.py".lstrip("/")
                yield inner if inner in MODULES else f"{parent}.py" if f"{parent}.py" in MODULES else "__init__.py"


def test_the_emulator_is_imported_only_where_it_is_started() -> None:
    assert STARTS_THE_EMULATOR == {name for name in CLIENT if "emulator" in imported(name)}


def test_the_emulator_imports_nothing_of_the_rest() -> None:
    """What shares no code with the client cannot share a mistake with it."""
    assert {"emulator"} == {package for name in MODULES if name not in CLIENT for package in imported(name)}


@pytest.mark.parametrize("name", [name for name in MODULES if name.endswith("__init__.py")])
def test_a_package_says_what_belongs_in_it_and_re_exports_nothing(name: str) -> None:
    """One name has one home."""
    docstring, *rest = ast.parse(MODULES[name].read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert [] == [
        ast.unparse(node) for node in rest if not (isinstance(node, ast.Assign) and "__version__" in ast.unparse(node))
    ]


# What takes long to import, and which of it a command does without. Typer itself loads pydantic to read most options.
HEAVY = {
    "requests",
    "sqlite3",
    "pydantic",
    "rich",
    "http.server",
    "email_validator",
    "dotenv",
    "typer",
    "segno",
    "psycopg",
    "xlsxwriter",
    "openpyxl",
    "pycountry",
}
MODELS = "runa_cli.api.order_models"  # validates orders, as the models of replies do
SHEETS, VALUES, ADOPTION = "runa_cli.input.sheet_rows", "runa_cli.input.json_values", "runa_cli.issuing.adoption"
NAMED = "order create --face-value 1 --product AMZ-US -o links --batch fred"  # is looked for at Runa first
LOADED = [
    ("--version", set()),
    ("--help", {"typer"}),
    ("order create --help", {"typer"}),
    ("order example csv", {"typer", "pydantic", "rich"}),
    ("config --json", {"typer", "pydantic"}),
    ("batch list --json", {"typer", "pydantic", "sqlite3"}),
    ("batch list", {"typer", "pydantic", "sqlite3", "rich"}),
    ("batch show 1 --json", {"typer", "pydantic", "sqlite3"}),
    ("gift list --json", {"typer", "pydantic", "sqlite3"}),
    ("gift list --search fred", {"typer", "pydantic", "sqlite3", "rich"}),
    ("gift get E-1 --json", {"typer", "pydantic", "sqlite3"}),
    (
        "order create --face-value 1 --product AMZ-US --dry-run --json",
        {"typer", "pydantic", "sqlite3", MODELS, ADOPTION},
    ),
    (
        "order create --face-value 1 --product AMZ-US --email a@example.com --dry-run",
        {"typer", "pydantic", "sqlite3", MODELS, "rich", ADOPTION},
    ),
    (
        "order create --face-value 1 --product AMZ-US --email a@bücher.example --dry-run --json",
        {"typer", "pydantic", "sqlite3", MODELS, "email_validator", ADOPTION},
    ),
    ("order create --face-value 1 --product AMZ-US -o links", {"typer", "pydantic", "sqlite3", MODELS, "requests"}),
    (NAMED, {"typer", "pydantic", "sqlite3", MODELS, "requests", ADOPTION}),
    ("order create -o links --file - --format csv", {"typer", "pydantic", "sqlite3", MODELS, SHEETS}),
    ("order create -o links --file - --format json", {"typer", "pydantic", "sqlite3", MODELS, VALUES}),
]


@pytest.mark.parametrize(("command", "needed"), LOADED)
def test_a_command_loads_only_the_slow_libraries_that_it_needs(
    program: Program, command: str, needed: set[str]
) -> None:
    """Start-up is felt at every keystroke of completion and help."""
    ran = program.execute(
        [sys.executable, "-X", "importtime", "-m", "runa_cli", *command.split()],
        RUNA_ENV="playground", RUNA_API_KEY=KEY, RUNA_BASE_URL="http://127.0.0.1:9", RUNA_TIMEOUT="1",
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in ran.err.splitlines() if line.startswith("import time:")}
    assert needed == loaded & {*HEAVY, MODELS, SHEETS, VALUES, ADOPTION}


GROUPS = {str(group.name) for group in cli.program().registered_groups}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["order", "create"], {"order"}),
        ([], GROUPS),
        (["ordr"], GROUPS),
    ],
)
def test_only_the_group_that_is_run_is_built(arguments: list[str], expected: set[str]) -> None:
    """Help and what suggests a command for a mistyped one need all of them."""
    assert expected == {str(group.name) for group in cli.program(*arguments[:1]).registered_groups}


def test_a_table_is_read_without_a_connection_to_anywhere() -> None:
    """What validates input loads no HTTP library, so that a problem is shown at once."""
    script = "import sys, runa_cli.input.reader; sys.exit('requests' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode
