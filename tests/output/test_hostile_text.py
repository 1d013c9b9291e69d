"""Text that means harm, from files, flags, names of files and Runa: shown as text, or refused, and never obeyed."""

import csv
import io
import json
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runa_cli.config.values import FORMATS
from tests.conftest import Emulate
from tests.support.program import GIFT, KEY, Program, orders_at, posts
from tests.support.ran import Ran
from tests.support.scripted_server import Answer, ScriptedServer, as_json
from tests.support.terminal import ended_on_a_terminal

# A title for the terminal, a colour in one byte, markup that fits and markup that does not, text that runs backwards,
# letters nobody sees, a line of its own, deletion.
HARM = (
    "\x1b]0;owned\x07 \x9b31m [bold red]b[/] [/nope] [link=http://evil.example]l[/link] \u202etxt.exe \u061c \u200b"
    " \u2066x \u2060y \U000e0041 \u2028z \x7f :smile:"
)
FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\uff1d1")
ITEM: dict[str, Any] = {
    "face_value": 10,
    "distribution_method": {"type": "EMAIL", "email_address": "ann@example.com"},
    "products": {"type": "SINGLE", "value": "AMZ-US"},
}


def harmful(text: str, but: str = "\n") -> set[str]:
    """Return the characters that a terminal acts on or a reader cannot see."""
    return {
        char for char in text if char not in but and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    }


def is_shown(ran: Ran, *codes: int) -> str:
    """Make sure that a run did what it did without harm, and return all it showed."""
    shown = ran.out + ran.err
    assert ran.code in codes, shown
    assert "Traceback" not in shown
    assert set() == harmful(shown, but="\n\t")  # a tab is part of a cell
    return shown


def is_shown_on_a_terminal(program: Program, *arguments: str, codes: tuple[int, ...] = (0,), **env: str) -> str:
    """Make sure that a terminal is told nothing but text; without colours, every command to it is an intruder's."""
    calm = {"NO_COLOR": "1", "TERM": "dumb", **env}
    code, shown = ended_on_a_terminal(program, *arguments, "--quiet", columns=120, env=calm)
    assert code in codes, shown
    assert set() == harmful(shown, but="\r\n")
    return shown


def sheet_of(*rows: dict[str, str]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def cells(text: str) -> list[str]:
    """Return every cell of a CSV file, as a spreadsheet reads them."""
    return [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]


# --- what people give ------------------------------------------------------------------------------------------------


def test_cells_that_may_hold_anything_are_text_wherever_they_are_shown(program: Program, emulate: Emulate) -> None:
    emulator = emulate()
    row = {"face_value": "10", "email": "ann@example.com", "product": "AMZ-US", "description": HARM[:120]}
    text = sheet_of(
        {**row, "reference": HARM, f"team {HARM}": HARM}, {**row, "reference": "\x00", f"team {HARM}": "\x00"}
    )
    assert "[bold red]" in is_shown(
        program("order", "create", "--file", "-", "--batch", "bonus", "-o", "csv", stdin=text), 0
    )
    assert [HARM[:120]] == [order["description"] for order in orders_at(emulator)]
    for output_format in FORMATS:
        is_shown(program("batch", "export", "bonus", "-o", output_format), 0)
    assert "[bold red]" in is_shown_on_a_terminal(program, "batch", "export", "bonus")
    assert "[bold" in is_shown_on_a_terminal(program, "order", "list")
    is_shown(program("order", "list", "-o", "csv"), 0)


@pytest.mark.parametrize(
    "column", ["face_value", "currency", "email", "recipient", "product", "product_template", "template_id", "quantity"]
)
def test_a_cell_that_may_not_hold_it_is_named_and_nothing_is_sent(
    program: Program, emulate: Emulate, column: str
) -> None:
    emulator = emulate()
    row = {"face_value": "10", "email": "ann@example.com", "product": "AMZ-US", column: HARM}
    if column == "product_template":
        del row["product"]
    path = program.home / "gifts.csv"
    path.write_text(sheet_of(row, {**row, column: "\x00"}))
    shown = is_shown_on_a_terminal(program, "order", "create", "--file", "gifts.csv", codes=(3,))
    assert "row 1" in shown
    assert "row 2" in shown or column == "currency"  # what is wrong with a second head need not be said twice
    assert 0 == posts(emulator)


@pytest.mark.parametrize("harm", [HARM, "\x00", "\ud800"])
def test_text_in_a_document_is_taken_as_it_is_or_refused(program: Program, emulate: Emulate, harm: str) -> None:
    """A lone surrogate is legal in JSON as an escape, and in no other text."""
    emulator = emulate()
    accepted = {
        "payment_method": {"type": "ACCOUNT_BALANCE", "currency": "USD"},
        "items": [ITEM],
        "description": harm[:120],
        "metadata": {"note": harm[-60:]},
    }
    ran = program("order", "create", "--file", "-", "--format", "json", "--json", stdin=json.dumps(accepted))
    shown = is_shown(ran, 0, 3)
    assert ran.code == 3 or [harm[:120]] == [order["description"] for order in orders_at(emulator)], shown
    made = posts(emulator)
    refused = [
        {**ITEM, "face_value": harm},
        {**ITEM, "products": {"type": harm, harm: harm}},
        {**ITEM, "distribution_method": {"type": "EMAIL", "email_address": harm}},
        {**ITEM, harm: 1},
    ]
    ran = program("order", "create", "--file", "-", "--format", "json", "--currency", "USD", stdin=json.dumps(refused))
    assert "[3]" in is_shown(ran, 3)
    assert made == posts(emulator)


def test_flags_and_names_of_files_are_shown_as_text(program: Program, emulate: Emulate) -> None:
    emulate()
    is_shown_on_a_terminal(
        program, *GIFT, "--description", HARM[:120], "--metadata", f"note={HARM[-60:]}", "--batch", "\u202e[red]=1"
    )
    assert "[red]" in is_shown_on_a_terminal(program, "batch", "list")
    is_shown_on_a_terminal(program, "batch", "show", "\u202e[red]=1")
    is_shown_on_a_terminal(program, *GIFT, "--batch", HARM, codes=(2,))
    for flag in ("--face-value", "--email", "--product", "--currency", "--template-id", "--idempotency-key", "--mode"):
        is_shown(program(*GIFT, "--again", flag, HARM), 2, 3)
    for name in (f"{HARM.replace('/', '')}.csv", "\x1b[31m\n.json"):
        assert 3 == ended_on_a_terminal(program, "order", "create", "--file", name, columns=80)[0]
        (program.home / name).write_text("face_value,email,product\n0,ann@example.com,AMZ-US\n")
        is_shown_on_a_terminal(program, "order", "create", "--file", name, codes=(3,))
    is_shown_on_a_terminal(program, *GIFT, "--again", "--results", f"{HARM}/x", codes=(2,))
    is_shown_on_a_terminal(program, HARM, codes=(2,))


# --- what Runa says, or somebody in its place ------------------------------------------------------------------------

CATALOGUE: list[dict[str, Any]] = [
    {
        "code": f"AMZ-US{HARM}",
        "name": HARM,
        "currency": HARM,
        "state": HARM,
        "is_orderable": True,
        "categories": [HARM],
        "countries_redeemable_in": [HARM],
        "payout_type": HARM,
        "availability": HARM,
    },
    *({"code": formula, "name": formula, "currency": formula, "categories": [formula]} for formula in FORMULAS),
]
ORDERS: list[dict[str, Any]] = [
    {
        "id": f"O-{number}",
        "status": text,
        "description": text,
        "currency": text,
        "created_at": text,
        "total_price": text,
    }
    for number, text in enumerate((HARM, *FORMULAS))
]
ANSWERS: dict[str, Any] = {
    "/product?": {"catalog": CATALOGUE, "pagination": {}},
    "/product/AMZ-US": {**CATALOGUE[0], "code": "AMZ-US"},
    "/product/countries": {"countries": [HARM, *FORMULAS]},
    "/product/categories": {"categories": [HARM, *FORMULAS]},
    "/order?": {"items": ORDERS, "pagination": {}},
    "/order/O-1": {
        **ORDERS[0],
        "id": "O-1",
        "message": HARM,
        "items": [{"id": HARM, "payout": {"url": f"https://evil.example/{HARM}", "status": HARM}, "products": HARM}],
    },
    "/balance": [{"currency": text, "balance": text} for text in (HARM, *FORMULAS)],
    "/ping": {"message": HARM},
}


def hostile(method: str, path: str, headers: dict[str, str], body: object) -> Answer:
    """Answer every question with harm, and refuse every order with more."""
    if method == "POST":
        return as_json(400, {"type": "insufficient_funds", "message": HARM, "request_id": HARM})
    found = [answer for start, answer in ANSWERS.items() if path.startswith(start)]
    return as_json(200, found[-1]) if found else as_json(404, {"type": f"not_found{HARM}", "message": HARM})


@contextmanager
def hostile_runa(program: Program) -> Iterator[None]:
    """Put somebody hostile in Runa's place."""
    with ScriptedServer(hostile) as server:
        program.env.update(RUNA_ENV="local", RUNA_BASE_URL=server.url, RUNA_API_KEY=KEY)
        yield


QUESTIONS = (
    ("product", "list"),
    ("product", "get", "AMZ-US"),
    ("product", "countries"),
    ("product", "categories"),
    ("order", "list"),
    ("order", "get", "O-1"),
    ("order", "get", "O-2"),
    ("balance",),
    ("ping",),
)


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_whatever_runa_says_a_terminal_only_shows_it(program: Program, question: tuple[str, ...]) -> None:
    with hostile_runa(program):
        assert "[bold red]" in is_shown_on_a_terminal(program, *question, codes=(0, 5, 7))
        for output_format in FORMATS if question[:2] == ("order", "get") else [*{*FORMATS} - {"links"}]:
            is_shown(program(*question, "-o", output_format), 0, 5, 7)


def test_the_reason_of_a_refusal_is_shown_as_text(program: Program) -> None:
    with hostile_runa(program):
        command = (*GIFT, "--batch", "bonus", "--no-lookup")
        assert "[bold red]" in is_shown_on_a_terminal(program, *command, codes=(5,))
        is_shown(program(*command, "--json"), 5)
        for output_format in ("table", "csv", "json"):
            is_shown(program("batch", "show", "bonus", "-o", output_format), 0)


# --- spreadsheets ----------------------------------------------------------------------------------------------------


def runs_as_a_formula(cell: str) -> bool:
    """Tell whether a spreadsheet would compute a cell; a plain number with its sign is no formula."""
    return cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"))


@pytest.mark.parametrize(
    "question", [("product", "list"), ("product", "categories"), ("order", "list"), ("balance",)], ids=" ".join
)
def test_no_answer_becomes_a_formula(program: Program, question: tuple[str, ...]) -> None:
    with hostile_runa(program):
        shown = cells(program(*question, "-o", "csv").out)
    assert "'=1+1" in shown
    assert [] == [cell for cell in shown if runs_as_a_formula(cell)]


def test_nothing_that_people_give_becomes_a_formula(program: Program, emulate: Emulate) -> None:
    emulate()
    row = {"face_value": "10", "email": "ann@example.com", "product": "AMZ-US"}
    rows = [{**row, "reference": formula, "description": formula, "=cmd": formula} for formula in FORMULAS]
    ran = program(
        "order", "create", "--file", "-", "--batch", "=1+1", "-o", "csv", "--results", "r.csv", stdin=sheet_of(*rows)
    )
    assert 0 == ran.code, ran.err
    for text in (
        ran.out,
        (program.home / "r.csv").read_text(),
        program("batch", "list", "-o", "csv").out,
        program("batch", "export", "=1+1", "-o", "csv").out,
        program("order", "list", "-o", "csv").out,
        program("batch", "show", "=1+1", "-o", "csv").out,
    ):
        assert [] == [cell for cell in cells(text) if runs_as_a_formula(cell)]
        assert len(cells(text)) > 7
