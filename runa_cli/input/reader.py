"""From flags or a file to a plan: chooses the format and lets its rows be added."""

from pathlib import Path
from typing import BinaryIO, Literal

from runa_cli.api.order_models import MOST_ITEMS
from runa_cli.input import fields, json_file
from runa_cli.input.csv_file import CsvTable
from runa_cli.input.decoding import OLD_WORKBOOK, WORKBOOK, DecodedText, peek
from runa_cli.input.fields import item_document
from runa_cli.input.headings import ColumnOptions
from runa_cli.input.json_values import add_values
from runa_cli.input.order_rules import BY_COUNTRY, CodeLookup
from runa_cli.input.places import flag_place
from runa_cli.input.plan import STDIN, Plan
from runa_cli.input.plan_builder import PlanBuilder
from runa_cli.input.problems import Place, Problems
from runa_cli.input.request import OrderInput
from runa_cli.input.sheet_rows import add_rows

Format = Literal["json", "jsonl", "csv", "xlsx"]
CurrencyOf = CodeLookup

FILE_FORMATS: tuple[Format, ...] = ("json", "jsonl", "csv", "xlsx")
_SUFFIXES: dict[str, Format] = {
    ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}  # fmt: skip


def from_flags(order_input: OrderInput, currency_of: CurrencyOf = BY_COUNTRY) -> Plan:
    """Return the plan of one order from flags alone. Raises InputError."""
    problems = Problems(order_input.settings)
    plan = Plan(source="flags", shape="object", most_items=MOST_ITEMS)
    builder = PlanBuilder(order_input, problems, plan, currency_of)
    emails: tuple[str | None, ...] = order_input.emails or (None,)
    count = len(emails)
    if not order_input.emails:
        count = fields.quantity(order_input.quantity, Place(flag="--quantity"), problems)
    if count > MOST_ITEMS:
        problems.add(
            Place(flag="--email" if order_input.emails else "--quantity"),
            f"makes {count} items, but one order holds at most {MOST_ITEMS}: use --file, which makes several",
        )
        count = 1
    for row in range(1, count + 1):
        address = emails[(row - 1) % len(emails)]
        builder.add_item(item_document({**order_input.fields(), "email": address}), flag_place, row=row)
    return builder.finish()


def from_file(order_input: OrderInput, stdin: BinaryIO | None = None, currency_of: CurrencyOf = BY_COUNTRY) -> Plan:
    """Return the plan of the input's file; `stdin` is read where the file is `-`. Raises InputError."""
    problems, path = Problems(order_input.settings), order_input.file or "-"
    if path == "-":
        if stdin is None:
            problems.stop(Place(flag="--file"), "standard input is closed")
        return _from_stream(stdin, STDIN, order_input, problems, currency_of)
    try:
        with Path(path).open("rb") as stream:
            return _from_stream(stream, path, order_input, problems, currency_of)
    except OSError as error:
        problems.stop(Place(flag="--file"), f"cannot read {path}: {error.strerror}")


def _from_stream(
    stream: BinaryIO, name: str, order_input: OrderInput, problems: Problems, currency_of: CurrencyOf
) -> Plan:
    file_format = order_input.file_format or _SUFFIXES.get(Path(name).suffix.lower())
    if file_format is None:
        start, stream = peek(stream, json_file.PEEK)
        file_format = _format_of(start)
    _check_options(order_input, file_format, problems)
    plan = Plan(source="file", file=name, most_items=1 if order_input.mode == "sync" else MOST_ITEMS)
    builder = PlanBuilder(order_input, problems, plan, currency_of)
    columns = ColumnOptions.of(order_input.columns, order_input.carry)
    encoding, header_row = order_input.encoding, order_input.header_row
    match file_format:
        case "csv":
            add_rows(
                builder,
                CsvTable(stream, name, problems, columns, encoding=encoding, header_row=header_row),
                columns,
                header_row,
            )
        case "xlsx":
            from runa_cli.input.xlsx_file import XlsxTable

            with XlsxTable(stream, name, problems, order_input.sheet) as workbook:
                add_rows(builder, workbook, columns, header_row)
        case "jsonl":
            add_values(builder, json_file.read_jsonl(DecodedText(stream, name, problems, encoding), name, problems))
        case _:
            add_values(builder, json_file.read_json(DecodedText(stream, name, problems, encoding), name, problems))
    if not plan.item_count and not problems.count:
        problems.add(Place(file=name), "holds no items")
    return builder.finish()


def _check_options(order_input: OrderInput, file_format: str, problems: Problems) -> None:
    """Check that the options about a file go with its format. Raises InputError."""
    tables = {"csv", "xlsx"}
    for given, flag, formats in (
        (order_input.sheet is not None, "--sheet", {"xlsx"}),
        (order_input.header_row is not None, "--header-row", tables),
        (order_input.encoding is not None, "--encoding", {"csv", "json", "jsonl"}),
        (bool(order_input.columns), "--column", tables),
        (bool(order_input.carry), "--carry", tables),
    ):
        if given and file_format not in formats:
            problems.add(Place(flag=flag), f"has no meaning for a file in the format {file_format}")
    problems.check()


def _format_of(start: bytes) -> Format:
    """Return the format that the first bytes of a file look like."""
    if start.startswith((WORKBOOK, OLD_WORKBOOK)):
        return "xlsx"
    first = start.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")  # marks, and the halves of UTF-16
    if first[:1] not in {b"{", b"["}:
        return "csv"
    return "jsonl" if json_file.looks_like_lines(first) else "json"
