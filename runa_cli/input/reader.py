"""From flags or a file to a plan: chooses the format and lets its rows be added.

What reads a format is imported where a file is read, for most orders have none.
"""

from pathlib import Path
from typing import BinaryIO, Literal

from runa_cli.api.order_models import MOST_ITEMS
from runa_cli.input import fields
from runa_cli.input.fields import item_document
from runa_cli.input.order_rules import BY_COUNTRY, CodeLookup
from runa_cli.input.places import flag_place
from runa_cli.input.plan import STDIN, Plan
from runa_cli.input.plan_builder import PlanBuilder
from runa_cli.input.problems import Place, Problems
from runa_cli.input.request import OrderInput

Format = Literal["json", "jsonl", "csv", "xlsx"]
CurrencyOf = CodeLookup

FILE_FORMATS: tuple[Format, ...] = ("json", "jsonl", "csv", "xlsx")
_TABLES = frozenset({"csv", "xlsx"})
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
        file_format, stream = _format_of(stream)
    _check_options(order_input, file_format, problems)
    plan = Plan(source="file", file=name, most_items=1 if order_input.mode == "sync" else MOST_ITEMS)
    builder = PlanBuilder(order_input, problems, plan, currency_of)
    add = _add_rows if file_format in _TABLES else _add_values
    add(builder, file_format, stream, name)
    if not plan.item_count and not problems.count:
        problems.add(Place(file=name), "holds no items")
    return builder.finish()


def _add_rows(builder: PlanBuilder, file_format: str, stream: BinaryIO, name: str) -> None:
    from runa_cli.input.headings import ColumnOptions
    from runa_cli.input.sheet_rows import add_rows

    given = builder.order_input
    columns = ColumnOptions.of(given.columns, given.carry)
    if file_format == "csv":
        from runa_cli.input.csv_file import CsvTable

        table = CsvTable(stream, name, builder.problems, columns, encoding=given.encoding, header_row=given.header_row)
        add_rows(builder, table, columns, given.header_row)
    else:
        from runa_cli.input.xlsx_file import XlsxTable

        with XlsxTable(stream, name, builder.problems, given.sheet) as workbook:
            add_rows(builder, workbook, columns, given.header_row)


def _add_values(builder: PlanBuilder, file_format: str, stream: BinaryIO, name: str) -> None:
    from runa_cli.input import json_file
    from runa_cli.input.decoding import DecodedText
    from runa_cli.input.json_values import add_values

    text = DecodedText(stream, name, builder.problems, builder.order_input.encoding)
    read = json_file.read_jsonl if file_format == "jsonl" else json_file.read_json
    add_values(builder, read(text, name, builder.problems))


def _check_options(order_input: OrderInput, file_format: str, problems: Problems) -> None:
    """Check that the options about a file go with its format. Raises InputError."""
    for given, flag, formats in (
        (order_input.sheet is not None, "--sheet", {"xlsx"}),
        (order_input.header_row is not None, "--header-row", _TABLES),
        (order_input.encoding is not None, "--encoding", {"csv", "json", "jsonl"}),
        (bool(order_input.columns), "--column", _TABLES),
        (bool(order_input.carry), "--carry", _TABLES),
    ):
        if given and file_format not in formats:
            problems.add(Place(flag=flag), f"has no meaning for a file in the format {file_format}")
    problems.check()


def _format_of(stream: BinaryIO) -> tuple[Format, BinaryIO]:
    """Return the format that the first bytes of a file look like, and a stream that begins with them."""
    from runa_cli.input import json_file
    from runa_cli.input.decoding import OLD_WORKBOOK, WORKBOOK, peek

    start, stream = peek(stream, json_file.PEEK)
    if start.startswith((WORKBOOK, OLD_WORKBOOK)):
        return "xlsx", stream
    first = start.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")  # marks, and the halves of UTF-16
    if first[:1] not in {b"{", b"["}:
        return "csv", stream
    return "jsonl" if json_file.looks_like_lines(first) else "json", stream
