"""Options that describe gifts and orders, which `order create` and `order estimate` share; and those of `create`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runa_cli.commands.options import TIMEOUT_HELP, Command, Options, with_options
from runa_cli.core.errors import UsageMistake

if TYPE_CHECKING:
    from runa_cli.input.request import OrderInput

ITEM, ORDER, FILE, ONCE = "The gift", "The order", "Many gifts from a file", "Once"
SENDING, SAFETY = "Sending", "Safety"

FaceValue = Annotated[
    str | None,
    typer.Option("--face-value", metavar="AMOUNT", help="Value of each gift, e.g. 10 or 12.50.", rich_help_panel=ITEM),
]
Email = Annotated[
    list[str] | None,
    typer.Option(
        "--email", metavar="ADDRESS", help="Runa mails the link there; repeat for more gifts.", rich_help_panel=ITEM
    ),
]
Quantity = Annotated[
    str | None,
    typer.Option(
        "--quantity", metavar="N", help="Number of payout links, without --email (default 1).", rich_help_panel=ITEM
    ),
]
ProductCodes = Annotated[
    list[str] | None,
    typer.Option(
        "--product",
        metavar="CODE",
        help="What can be bought; repeat to offer a choice (RUNA_PRODUCTS).",
        rich_help_panel=ITEM,
    ),
]
ProductTemplate = Annotated[
    str | None,
    typer.Option("--product-template", metavar="PT-…", help="A saved selection of products.", rich_help_panel=ITEM),
]
TemplateId = Annotated[
    str | None,
    typer.Option(
        "--template-id",
        metavar="DT-…",
        help="Redemption template: how the page of the link looks (RUNA_TEMPLATE_ID).",
        rich_help_panel=ITEM,
    ),
]
Recipient = Annotated[
    str | None,
    typer.Option("--recipient", metavar="REF", help="Pay a known recipient, with one --email.", rich_help_panel=ITEM),
]
CurrencyOption = Annotated[
    str | None,
    typer.Option(
        "--currency",
        metavar="USD",
        help="The balance that pays (default: the products' currency; RUNA_CURRENCY).",
        rich_help_panel=ORDER,
    ),
]
Fx = Annotated[
    bool, typer.Option("--fx", metavar="", help="Let Runa convert the currency, for a fee.", rich_help_panel=ORDER)
]
Description = Annotated[
    str | None,
    typer.Option("--description", metavar="TEXT", help="Your own note, at most 128 characters.", rich_help_panel=ORDER),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="KEY=VALUE", help="Your own data; repeat for more.", rich_help_panel=ORDER),
]
FileOption = Annotated[
    str | None,
    typer.Option("--file", metavar="PATH", help="CSV, XLSX, JSON or JSONL; - is standard input.", rich_help_panel=FILE),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="json|jsonl|csv|xlsx",
        help="Format of the file (default: by its name or content).",
        rich_help_panel=FILE,
    ),
]
SheetOption = Annotated[
    str | None, typer.Option("--sheet", metavar="NAME", help="The sheet of a workbook.", rich_help_panel=FILE)
]
HeaderRow = Annotated[
    int | None,
    typer.Option(
        "--header-row", metavar="N", min=1, help="The row with the headings, below a title.", rich_help_panel=FILE
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Of a file that is not UTF-8, e.g. cp1252.", rich_help_panel=FILE),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="FIELD=HEADING",
        help="Which column a field is, e.g. email=Work; repeat for more.",
        rich_help_panel=FILE,
    ),
]
Carry = Annotated[
    list[str] | None,
    typer.Option(
        "--carry",
        metavar="HEADING",
        help="A column that is only kept beside the results; repeat.",
        rich_help_panel=FILE,
    ),
]
AllowLinks = Annotated[
    bool,
    typer.Option(
        "--allow-links", metavar="", help="Rows without an address become payout links.", rich_help_panel=FILE
    ),
]
BatchName = Annotated[
    str | None,
    typer.Option(
        "--batch",
        metavar="NAME",
        help="Issue this once: run again, it resumes or shows the result.",
        rich_help_panel=ONCE,
    ),
]
Again = Annotated[bool, typer.Option("--again", metavar="", help="Issue the same once more.", rich_help_panel=ONCE)]
ByReference = Annotated[
    bool,
    typer.Option(
        "--by-reference",
        metavar="",
        help="Issue each reference of the file once, whatever batch it is in.",
        rich_help_panel=ONCE,
    ),
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option("--idempotency-key", metavar="KEY", help="Your own key, for a single order.", rich_help_panel=ONCE),
]
NoLookup = Annotated[
    bool,
    typer.Option(
        "--no-lookup",
        metavar="",
        help="Do not look at Runa for orders of this batch that were issued from another ledger.",
        rich_help_panel=ONCE,
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="auto|sync|async",
        help="auto: sync for one gift, else async (default auto; RUNA_MODE).",
        rich_help_panel=SENDING,
    ),
]
WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait/--no-wait",
        metavar="",
        help="Wait for the links (default), or stop when Runa has accepted.",
        rich_help_panel=SENDING,
    ),
]
SendingTimeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="SECONDS", help=TIMEOUT_HELP, rich_help_panel=SENDING),
]
Concurrency = Annotated[
    str | None,
    typer.Option(
        "--concurrency",
        metavar="N",
        help="Orders sent at a time, or auto: as the limit needs (default auto; RUNA_CONCURRENCY).",
        rich_help_panel=SENDING,
    ),
]
RateLimit = Annotated[
    str | None,
    typer.Option(
        "--rate-limit",
        metavar="PER_MINUTE",
        help="Orders a minute; 0: no limit (default 300; RUNA_RATE_LIMIT).",
        rich_help_panel=SENDING,
    ),
]
NoStamp = Annotated[
    bool,
    typer.Option("--no-stamp", metavar="", help="Leave key and batch name out of the order.", rich_help_panel=SENDING),
]
Propose = Annotated[
    bool,
    typer.Option(
        "--propose", metavar="", help="Record it unsent, for somebody else to approve.", rich_help_panel=SAFETY
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", metavar="", help="Show what would be sent; send and record nothing.", rich_help_panel=SAFETY
    ),
]
MaxTotal = Annotated[
    str | None,
    typer.Option(
        "--max-total", metavar="AMOUNT", help="Refuse a larger total (RUNA_MAX_TOTAL).", rich_help_panel=SAFETY
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.", rich_help_panel=SAFETY)]
Confirm = Annotated[
    bool, typer.Option("--confirm", metavar="", help="Ask before sending, as in live.", rich_help_panel=SAFETY)
]
ConfirmTotal = Annotated[
    str | None,
    typer.Option(
        "--confirm-total", metavar="AMOUNT", help="Go on only if this is exactly the total.", rich_help_panel=SAFETY
    ),
]
Preflight = Annotated[
    bool | None,
    typer.Option(
        "--preflight/--no-preflight",
        metavar="",
        help="Check codes, values and funds first (default: for several orders).",
        rich_help_panel=SAFETY,
        show_default=False,
    ),
]
Results = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="FILE",
        help="Also write the results there: CSV, or XLSX by its name.",
        rich_help_panel=FILE,
    ),
]

_INPUT: Options = {
    "face_value": (FaceValue, None),
    "email": (Email, None),
    "quantity": (Quantity, None),
    "product": (ProductCodes, None),
    "product_template": (ProductTemplate, None),
    "template_id": (TemplateId, None),
    "recipient": (Recipient, None),
    "file": (FileOption, None),
    "file_format": (FormatOption, None),
    "sheet": (SheetOption, None),
    "header_row": (HeaderRow, None),
    "encoding": (Encoding, None),
    "column": (ColumnOption, None),
    "carry": (Carry, None),
    "allow_links": (AllowLinks, False),
    "currency": (CurrencyOption, None),
    "fx": (Fx, False),
    "description": (Description, None),
    "metadata": (Metadata, None),
}


def with_order_input(command: Command) -> Command:
    """Add the options that describe gifts and orders; the command receives them as its argument `order_input`."""
    return with_options("order_input", _INPUT, _order_input)(command)


def _order_input(
    *,
    email: list[str] | None,
    product: list[str] | None,
    metadata: list[str] | None,
    column: list[str] | None,
    carry: list[str] | None,
    **values: Any,
) -> "OrderInput":
    from runa_cli.input.request import OrderInput

    return OrderInput(
        emails=tuple(email or ()),
        products=tuple(product or ()),
        metadata=tuple(metadata or ()),
        columns=tuple(map(field_and_heading, column or ())),
        carry=tuple(carry or ()),
        **values,
    )


def field_and_heading(text: str) -> tuple[str, str]:
    """Return the two sides of `--column FIELD=HEADING`. Raises UsageMistake."""
    from runa_cli.input.columns import FIELDS, field_of

    name, equals, heading = text.partition("=")
    known = field_of(name)
    if not equals or not heading.strip() or known is None:
        raise UsageMistake(f"--column must be FIELD=HEADING with one of {', '.join(FIELDS)}, found {text!r}.")
    return known, heading


def check_order_input(order_input: "OrderInput") -> None:
    """Check that the options about gifts and their file go together. Raises UsageMistake."""
    from runa_cli.input.decoding import is_text_encoding
    from runa_cli.input.reader import FILE_FORMATS

    fields = [name for name, _ in order_input.columns]
    for wrong, sentence in (
        (
            order_input.emails and order_input.quantity,
            "--quantity counts payout links; repeat --email for more mailed gifts.",
        ),
        (
            order_input.products and order_input.product_template,
            "--product and --product-template are two choices of products.",
        ),
        (order_input.recipient and len(order_input.emails) > 1, "--recipient takes one --email."),
        (
            order_input.file_format and not order_input.file,
            "--format says what --file is, and there is no --file.",
        ),
        (
            order_input.file_format and order_input.file_format not in FILE_FORMATS,
            f"--format must be json, jsonl, csv or xlsx, found {order_input.file_format!r}.",
        ),
        (
            not order_input.file and _about_a_file(order_input),
            f"{_about_a_file(order_input)} is about a --file, and there is none.",
        ),
        (
            order_input.encoding is not None and not is_text_encoding(order_input.encoding),
            f"--encoding must be the name of a text encoding such as cp1252, found {order_input.encoding!r}.",
        ),
        (len(set(fields)) < len(fields), "--column names a field twice."),
    ):
        if wrong:
            raise UsageMistake(sentence)


def _about_a_file(order_input: "OrderInput") -> str | None:
    """Return the first option that says something of a file's contents; None where there is none."""
    given: dict[str, object] = {
        "--sheet": order_input.sheet,
        "--header-row": order_input.header_row,
        "--encoding": order_input.encoding,
        "--column": order_input.columns,
        "--carry": order_input.carry,
        "--allow-links": order_input.allow_links,
    }
    return next((flag for flag, value in given.items() if value), None)
