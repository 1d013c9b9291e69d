"""The table of error codes holds every code that the program uses, with its exit codes; the document is made of it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import runa_cli
from runa_cli.api.classify import FINAL_TYPES
from runa_cli.core import errors
from runa_cli.core.error_codes import CODES
from runa_cli.ledger.records import UNMATCHED
from tests.support.scripts import load_script

ROOT = Path(runa_cli.__file__).parent
DOCS = ROOT.parent / "docs"
KINDS: dict[str, type[errors.RunaError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.RunaError)
}
NODES = [
    node
    for path in sorted(ROOT.rglob("*.py"))
    if "emulator" not in path.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
]


def text_of(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value else None


def used() -> Iterator[tuple[str, str]]:
    """Yield each code that is written in the source, with the name that is called with it."""
    for node in NODES:
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            yield from (
                (code, called)
                for keyword in node.keywords
                if keyword.arg == "code" and (code := text_of(keyword.value))
            )


def default_codes() -> Iterator[str]:
    for node in NODES:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "default_code" for target in targets):
                yield text_of(node.value) or ""


def test_the_table_holds_every_code_that_the_program_uses_and_no_other() -> None:
    assert {code for code, _ in used()} | {*default_codes(), UNMATCHED} == {*CODES}


def test_each_code_names_the_exit_code_of_the_error_that_it_is_used_for() -> None:
    wrong = [
        (code, called)
        for code, called in used()
        if called in KINDS and KINDS[called].exit_code not in CODES[code].exits
    ]
    assert [] == wrong
    assert [] == [kind.default_code for kind in KINDS.values() if kind.exit_code not in CODES[kind.default_code].exits]


def test_the_exit_codes_of_the_table_are_those_of_the_errors() -> None:
    assert {kind.exit_code for kind in KINDS.values()} == {code for found in CODES.values() for code in found.exits}


def test_the_documents_are_what_the_generator_writes() -> None:
    module = load_script(DOCS / "generate.py")
    written = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert module.errors() == written, "python docs/generate.py"
    assert module.reference() == (DOCS / "reference.md").read_text(encoding="utf-8"), "python docs/generate.py"
    assert [] == [code for code in {*CODES} | FINAL_TYPES if f"\n| `{code}` |" not in written]
