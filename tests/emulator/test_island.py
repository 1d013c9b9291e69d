"""The emulator shares no code with the client, so that they cannot share a mistake."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import runa_cli.emulator

MODULES = sorted(Path(runa_cli.emulator.__file__).parent.glob("*.py"))


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_imports_the_standard_library_and_the_emulator_only(module: Path) -> None:
    """And what draws QR codes, which has no part in what is tested."""
    for name in imported(module):
        assert name.split(".")[0] in {*sys.stdlib_module_names, "segno"} or name.startswith("runa_cli.emulator")
