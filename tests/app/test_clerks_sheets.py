"""Lists as clerks have them: each ends in the right gifts, or in a sentence that leads there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Emulate
from tests.support.program import Program, orders_at, posts
from tests.support.ran import Ran

SHEETS = Path(__file__).parents[1] / "input/sheets"
ANN, JO = "aenne@example.test", "joerg@example.test"
GERMAN = "Name;E-Mail-Adresse;Betrag\r\nÄnne Müller;aenne@example.test;25,00\r\nJörg Groß;joerg@example.test;50,50\r\n"
FRENCH = "Prénom;E-mail;Montant\nÄnne;aenne@example.test;25,00 €\nJörg;joerg@example.test;50,50 €\n"
TANGO = (
    "Recipient First Name,Recipient Last Name,Recipient Email,Reward Amount,UTID,External Reference ID\n"
    f"Änne,Müller,{ANN},25,U987654,R-1\nJörg,Groß,{JO},50.50,U987654,R-2\n"
)


@dataclass(frozen=True)
class Step:
    """What the clerk adds to the command next, and what the program says; nothing where it issues the gifts."""

    adds: tuple[str, ...] = ()
    says: str = ""


@pytest.mark.parametrize(
    ("name", "content", "steps"),
    [
        ("semicolons.csv", GERMAN.encode(), [Step()]),
        (
            "windows.csv",
            GERMAN.encode("cp1252"),
            [Step(says="line 2: is not UTF-8 (byte 0xc4)"), Step(("--encoding", "cp1252"))],
        ),
        ("unicode.txt", GERMAN.replace(";", "\t").encode("utf-16"), [Step()]),
        (
            "payroll.xlsx",
            (SHEETS / "payroll-german.xlsx").read_bytes(),
            [Step(says="add --header-row 3"), Step(("--header-row", "3"), "looks like a row of totals (Summe)")],
        ),
        ("german.xlsx", (SHEETS / "list-german.xlsx").read_bytes(), [Step()]),
        ("french.csv", FRENCH.encode(), [Step()]),
        (
            "tango.csv",
            TANGO.encode(),
            [Step(says="UTID: is for another vendor's product codes"), Step(("--carry", "UTID"))],
        ),
        (
            "unknown.csv",
            GERMAN.replace("E-Mail-Adresse", "Kontakt").encode(),
            [Step(says="add --column email=Kontakt"), Step(("--column", "email=Kontakt"))],
        ),
        (
            "title.csv",
            b"Bonus\n\n" + GERMAN.encode(),
            [Step(says="add --header-row 3"), Step(("--header-row", "3"))],
        ),
        (
            "no-header.csv",
            GERMAN.partition("\r\n")[2].encode(),
            [Step(says="put a row with the names of the columns on top")],
        ),
    ],
)
def test_a_list_ends_in_the_right_gifts_or_in_one_sentence(
    program: Program, emulate: Emulate, name: str, content: bytes, steps: list[Step]
) -> None:
    emulator = emulate()
    (program.home / name).write_bytes(content)
    command = ["order", "create", "--file", name, "--product", "ADAS-DE", "--no-preflight"]
    for step in steps:
        command += step.adds
        ran = issue(program, command)
        if step.says:
            assert (3, "not_issued", 0) == (ran.code, ran.error["money"], posts(emulator))
            assert step.says in ran.error["message"]
            assert "\n" not in ran.error["message"]
        else:
            assert 0 == ran.code, ran.err
            assert [(ANN, "25.00"), (JO, "50.50")] == mailed(emulator)


def issue(program: Program, command: list[str]) -> Ran:
    return program(*command, "--json")


def mailed(emulator: Any) -> list[tuple[str, str]]:
    """Return whom Runa mailed how much."""
    items = [item for order in orders_at(emulator) for item in order["items"]]
    return sorted((item["distribution_method"]["email_address"], str(item["face_value"])) for item in items)


def test_a_large_list_with_one_kind_of_mistake_is_one_line(program: Program, emulate: Emulate) -> None:
    emulate()
    lines = "".join(f"Person {number},,25\n" for number in range(301))
    (program.home / "list.csv").write_text(f"Name,Email,Amount\nAnn,ann@example.test,25\n{lines}")
    ran = program("order", "create", "--file", "list.csv", "--product", "AMZ-US")
    assert 3 == ran.code
    assert 2 == len(ran.err.splitlines())
    assert "list.csv, lines 3-303 (301 rows), column email: has no address" in ran.err
