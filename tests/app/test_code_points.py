"""Every point of the code at which a test kills, stops or breaks the program is a function that exists.

A point that is never reached leaves the program as it is, so that a renamed function would go unnoticed.
"""

import ast
import http.client
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import urllib3

import runa_cli
from tests.app.test_state_machine import BUSY, POINTS
from tests.support.ran import ROOT

POINT = re.compile(r"(?:call|return):([A-Za-z_][\w.]*)(?::\d+)?")
STATE_MACHINE = ROOT / "tests/app/test_state_machine.py"
# What the program calls in libraries, and the module that defines it.
IN_LIBRARIES: dict[str, ModuleType] = {
    "HTTPConnection.connect": urllib3.connection, "HTTPResponse.begin": http.client
}  # fmt: skip


def functions(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    """Yield the qualified names of all functions and methods that are not inside of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name


def strings_of(path: Path) -> Iterator[str]:
    """Yield the texts in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def points() -> dict[str, Path]:
    """Return the function of each point that any test names, with a module that names it."""
    found: dict[str, Path] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path != Path(__file__):
            found |= {match[1]: path for text in strings_of(path) if (match := POINT.fullmatch(text))}
    return found | dict.fromkeys((*BUSY, *POINTS), STATE_MACHINE)


def test_each_point_is_a_function_of_the_program() -> None:
    there = {
        name
        for path in Path(runa_cli.__file__).parent.rglob("*.py")
        for name in functions(ast.parse(path.read_text(encoding="utf-8")))
    }
    named = points()
    assert {"Batches.record", "Client.create_order", "_read_body", "AnswerRecorder.record"} <= named.keys()
    assert {} == {name: path.name for name, path in named.items() if name not in there | IN_LIBRARIES.keys()}


def test_each_point_in_a_library_is_a_function_of_it() -> None:
    for name, module in IN_LIBRARIES.items():
        where: object = module
        for part in name.split("."):
            where = getattr(where, part)
        assert inspect.isfunction(where)
        assert name == where.__qualname__
