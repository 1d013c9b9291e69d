"""From flags or a file to a plan: chooses the format and hands its rows to the plan builder."""

from pathlib import Path
from typing import BinaryIO, Literal

from runa_cli.api import order_models
from runa_cli.input import fields, json_file
from runa_cli.input.csv_file import CsvFile
from runa_cli.input.fields import item_document
from runa_cli.input.places import flag_place
from runa_cli.input.plan import Plan
from runa_cli.input.plan_builder import PlanBuilder
from runa_cli.input.problems import Place, Problems
from runa_cli.input.request import Given

Format = Literal["json", "jsonl", "csv"]

_SUFFIXES: dict[str, Format] = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}


def from_flags(given: Given) -> Plan:
    """Make the plan of one order out of flags alone. Raises InputError."""
    mistakes = Problems()
    intake = PlanBuilder(given, mistakes, Plan(source="flags", shape="object", most_items=order_models.MOST_ITEMS))
    typed = given.fields()
    emails: tuple[str | None, ...] = given.emails or (None,)
    quantity = 1 if given.emails else fields.quantity(given.quantity, Place(flag="--quantity"), mistakes)
    count = len(given.emails) if given.emails else quantity
    if count > order_models.MOST_ITEMS:
        mistakes.add(
            Place(flag="--email" if given.emails else "--quantity"),
            f"makes {count} items, but one order holds at most {order_models.MOST_ITEMS}:"
            " use --file, which makes several",
        )
        count = 1
    for row in range(1, count + 1):
        address = emails[(row - 1) % len(emails)]
        intake.add_item(item_document({**typed, "email": address}), flag_place, row=row)
    return intake.finish()


def from_file(path: str, given: Given, file_format: Format | None, stdin: BinaryIO | None = None) -> Plan:
    """Make the plan of a file, or of standard input where that is given. Raises InputError."""
    mistakes = Problems()
    if stdin is not None:
        return _from_stream(stdin, "stdin", given, file_format, mistakes)
    try:
        with Path(path).open("rb") as stream:
            return _from_stream(stream, path, given, file_format, mistakes)
    except OSError as error:
        mistakes.stop(Place(flag="--file"), f"cannot read {path}: {error.strerror}")


def _from_stream(stream: BinaryIO, name: str, given: Given, file_format: Format | None, mistakes: Problems) -> Plan:
    kind = file_format or _SUFFIXES.get(Path(name).suffix.lower())
    if kind is None:
        start = stream.read(json_file.PEEK)
        kind, stream = _by_content(start), json_file.rewound(start, stream)
    plan = Plan(source="file", file=name, most_items=1 if given.mode == "sync" else order_models.MOST_ITEMS)
    intake = PlanBuilder(given, mistakes, plan)
    if kind == "csv":
        intake.add_sheet(CsvFile(stream, name, mistakes))
    else:
        read = json_file.read_json if kind == "json" else json_file.read_jsonl
        intake.add_values(read(stream, name, mistakes))
    if not plan.item_count and not mistakes.count:
        mistakes.add(Place(file=name), "holds no items")
    return intake.finish()


def _by_content(start: bytes) -> Format:
    first = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first not in {b"{", b"["}:
        return "csv"
    return "jsonl" if json_file.looks_like_lines(start) else "json"
