"""Data flows one way: a module imports only what stands below it, and a command loads only what it needs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import runa_cli

ROOT = Path(runa_cli.__file__).parent

# The table is part of the design: a new module gets its line here, and a rank above all that it imports.
RANKS: tuple[tuple[str, ...], ...] = (
    ("errors", "jsontext", "examples", "clock"),
    ("safetext", "settings", "payload", "retry", "claims", "governor", "crew", "mistakes", "ledgerfile"),
    ("records", "replies", "sheets", "documents", "fields"),
    ("ledger", "answers", "plan", "runs", "results"),
    ("wire", "troubles"),
    ("client",),
    ("intake", "lookup", "preflight", "tables", "talk"),
    ("settling", "output"),
    ("weighing",),
    ("issuing", "shelves"),
    ("session",),
    ("showing",),
    ("rehearsal", "reading", "configured", "listing", "products"),
    ("creating",),
    ("batches", "estimating"),
    ("resuming",),
    ("commands.options",),
    ("commands.account", "commands.batch", "commands.emulator", "commands.order", "commands.product"),
    ("cli",),
    ("__main__",),
)
RANK = {module: rank for rank, modules in enumerate(RANKS) for module in modules}
STARTS_THE_EMULATOR = {"session", "commands.emulator"}


def named(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


FILES = {named(path): path for path in sorted(ROOT.rglob("*.py"))}
MODULES = [name for name in FILES if not name.startswith("emulator.") and not name.endswith("__init__")]


def imported(name: str) -> Iterator[str]:
    """Yield the modules of the package that a module imports, on its first lines or when a function runs."""
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert 0 == node.level, f"{name} imports relatively, which this test does not follow"
            # `from package import name` takes a module of that name where there is one.
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for full in found:
            inner = full.removeprefix("runa_cli.")
            if inner != full:
                yield inner if inner in FILES else inner.rpartition(".")[0]


def needed(name: str) -> set[str]:
    """Return what a module imports of the package, but for the package's own `__version__`."""
    return set(imported(name)) - {""}


def test_every_module_has_its_rank() -> None:
    assert sorted(RANK) == sorted(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_modules_of_lower_rank(name: str) -> None:
    own = {module for module in needed(name) if not module.startswith("emulator")}
    assert [] == [module for module in own if RANK[module] >= RANK[name]]


def test_the_emulator_is_imported_only_where_it_is_started() -> None:
    importing = {name for name in MODULES if any(module.startswith("emulator") for module in needed(name))}
    assert STARTS_THE_EMULATOR == importing


def test_the_emulator_imports_nothing_of_the_rest() -> None:
    """What shares no code with the client cannot share a mistake with it."""
    names = [name for name in FILES if name.startswith("emulator.")]
    assert "emulator.server" in names
    assert set() == {module for name in names for module in imported(name) if not module.startswith("emulator")}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("__init__")])
def test_a_package_re_exports_nothing(name: str) -> None:
    """One name has one home."""
    docstring, *rest = ast.parse(FILES[name].read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert [] == [
        ast.unparse(node) for node in rest if not (isinstance(node, ast.Assign) and "__version__" in ast.unparse(node))
    ]


@pytest.mark.parametrize("module", ["requests", "sqlite3", "pydantic", "rich", "http.server", "email_validator"])
def test_the_command_line_starts_without_what_only_some_commands_need(module: str) -> None:
    """Start-up is felt at every keystroke of completion and help."""
    script = f"import sys, runa_cli.cli; sys.exit({module!r} in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode


def test_a_table_is_read_without_a_connection_to_anywhere() -> None:
    """What validates input loads no HTTP library, so that a mistake is shown at once."""
    script = "import sys, runa_cli.intake; sys.exit('requests' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode
