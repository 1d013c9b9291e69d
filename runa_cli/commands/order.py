"""`runa order`: create, estimate, get, list, example."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runa_cli.commands.options import Command, Common, Options, TimeoutOption, gathering, session_of, with_common

if TYPE_CHECKING:
    from runa_cli.input.request import Typed

app = typer.Typer(help="Issue orders and read them.", no_args_is_help=True)

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
    typer.Option("--quantity", metavar="N", help="That many payout links, without --email (1).", rich_help_panel=ITEM),
]
ProductCodes = Annotated[
    list[str] | None,
    typer.Option("--product", metavar="CODE", help="What it buys; repeat to offer a choice.", rich_help_panel=ITEM),
]
ProductTemplate = Annotated[
    str | None,
    typer.Option("--product-template", metavar="PT-…", help="A saved selection of products.", rich_help_panel=ITEM),
]
TemplateId = Annotated[
    str | None,
    typer.Option("--template-id", metavar="DT-…", help="How the link's page looks.", rich_help_panel=ITEM),
]
Recipient = Annotated[
    str | None,
    typer.Option("--recipient", metavar="REF", help="Pay a known recipient, with one --email.", rich_help_panel=ITEM),
]
CurrencyOption = Annotated[
    str | None,
    typer.Option(
        "--currency", metavar="USD", help="The balance that pays (the products' currency).", rich_help_panel=ORDER
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
    typer.Option("--file", metavar="PATH", help="CSV, JSON or JSONL; - is standard input.", rich_help_panel=FILE),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="json|jsonl|csv",
        help="What the file is (told from its name or content).",
        rich_help_panel=FILE,
    ),
]
BatchName = Annotated[
    str | None,
    typer.Option(
        "--batch", metavar="NAME", help="Issue this once: run again, it resumes or shows.", rich_help_panel=ONCE
    ),
]
Again = Annotated[
    bool, typer.Option("--again", metavar="", help="Issue the same once more; it is meant.", rich_help_panel=ONCE)
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option("--idempotency-key", metavar="KEY", help="Your own key, for a single order.", rich_help_panel=ONCE),
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode", metavar="auto|sync|async", help="auto: sync for one gift, else async.", rich_help_panel=SENDING
    ),
]
WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait/--no-wait", metavar="", help="Wait for the links, or stop at the acceptance.", rich_help_panel=SENDING
    ),
]
Concurrency = Annotated[
    str | None, typer.Option("--concurrency", metavar="N", help="Orders in flight (4).", rich_help_panel=SENDING)
]
RateLimit = Annotated[
    str | None,
    typer.Option(
        "--rate-limit", metavar="PER_MINUTE", help="Orders a minute (300); 0: no limit.", rich_help_panel=SENDING
    ),
]
NoStamp = Annotated[
    bool,
    typer.Option("--no-stamp", metavar="", help="Leave the key out of the order's metadata.", rich_help_panel=SENDING),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", metavar="", help="Show what would be sent; send and record nothing.", rich_help_panel=SAFETY
    ),
]
MaxTotal = Annotated[
    str | None, typer.Option("--max-total", metavar="AMOUNT", help="Refuse more than that.", rich_help_panel=SAFETY)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.", rich_help_panel=SAFETY)]
ConfirmTotal = Annotated[
    str | None,
    typer.Option(
        "--confirm-total", metavar="AMOUNT", help="Go on only if the total is exactly that.", rich_help_panel=SAFETY
    ),
]
Preflight = Annotated[
    bool | None,
    typer.Option(
        "--preflight/--no-preflight",
        metavar="",
        help="Check codes, values and funds first (for several orders: yes).",
        rich_help_panel=SAFETY,
        show_default=False,
    ),
]
Results = Annotated[
    Path | None,
    typer.Option("--results", metavar="FILE", help="Also write the results there, as CSV.", rich_help_panel=FILE),
]


_INPUT: Options = {
    "face_value": (FaceValue, None),
    "email": (Email, None),
    "quantity": (Quantity, None),
    "product": (ProductCodes, None),
    "product_template": (ProductTemplate, None),
    "template_id": (TemplateId, None),
    "recipient": (Recipient, None),
    "currency": (CurrencyOption, None),
    "fx": (Fx, False),
    "description": (Description, None),
    "metadata": (Metadata, None),
    "file": (FileOption, None),
    "file_format": (FormatOption, None),
}


def with_input(command: Command) -> Command:
    """Give a command the options that describe gifts and orders; it receives them as its argument `typed`."""

    def typed(
        *, email: list[str] | None, product: list[str] | None, metadata: list[str] | None, **given: Any
    ) -> "Typed":
        from runa_cli.input.request import Typed

        return Typed(emails=tuple(email or ()), products=tuple(product or ()), metadata=tuple(metadata or ()), **given)

    return gathering("typed", _INPUT, typed)(command)


@app.command()
@with_common
@with_input
def create(
    *,
    common: Common,
    typed: "Typed",
    results: Results = None,
    batch: BatchName = None,
    again: Again = False,
    idempotency_key: IdempotencyKey = None,
    mode: Mode = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = None,
    concurrency: Concurrency = None,
    rate_limit: RateLimit = None,
    no_stamp: NoStamp = False,
    dry_run: DryRun = False,
    max_total: MaxTotal = None,
    yes: Yes = False,
    confirm_total: ConfirmTotal = None,
    preflight: Preflight = None,
) -> None:
    """Issue gifts: from flags, or from a file.

    Whatever breaks in between, run the same command again: it never pays twice and always shows the links.
    """
    from runa_cli.app import create

    with session_of(
        common,
        RUNA_CURRENCY=typed.currency,
        RUNA_TEMPLATE_ID=typed.template_id,
        RUNA_MODE=mode,
        RUNA_TIMEOUT=timeout,
        RUNA_CONCURRENCY=concurrency,
        RUNA_RATE_LIMIT=rate_limit,
        RUNA_MAX_TOTAL=max_total,
    ) as session:
        create.create(
            session,
            create.Wish(
                typed=typed,
                results=results,
                batch=batch,
                again=again,
                idempotency_key=idempotency_key,
                wait=wait,
                stamp=not no_stamp,
                dry_run=dry_run,
                yes=yes,
                confirm_total=confirm_total,
                preflight=preflight,
            ),
        )


@app.command()
@with_common
def get(
    *,
    common: Common,
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id, O-…")],
    wait: Annotated[bool, typer.Option("--wait", metavar="", help="Until it is settled.")] = False,
    timeout: TimeoutOption = None,
) -> None:
    """Show one order by its id."""
    from runa_cli.app import orders

    with session_of(common, RUNA_TIMEOUT=timeout) as session:
        orders.show_order(session, order_id, wait=wait)


@app.command()
@with_common
@with_input
def estimate(*, common: Common, typed: "Typed", timeout: TimeoutOption = None) -> None:
    """Show what the same input would cost, item by item. Nothing is sent that moves money."""
    from runa_cli.app import estimate

    with session_of(
        common, RUNA_CURRENCY=typed.currency, RUNA_TEMPLATE_ID=typed.template_id, RUNA_TIMEOUT=timeout
    ) as session:
        estimate.estimate(session, typed)


@app.command("list")
@with_common
def list_(
    *,
    common: Common,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="That many at most.")] = 20,
    every: Annotated[bool, typer.Option("--all", metavar="", help="All there are, without a limit.")] = False,
    after: Annotated[str | None, typer.Option("--after", metavar="CURSOR", help="From a cursor of Runa's on.")] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="CURSOR", help="The page before a cursor.")] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="STATUS", help="COMPLETED, FAILED or PROCESSING (sorted out here)."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Created on that day or later (sorted out here).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Created on that day or earlier (sorted out here).")
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="In the description (sorted out here).")
    ] = None,
) -> None:
    """Show the orders at Runa, newest first as Runa gives them.

    Runa's list has no filters: what is sorted out here is fetched first, page by page.
    """
    from runa_cli.app import order_list

    with session_of(common) as session:
        order_list.show(
            session,
            order_list.OrderFilter(
                limit=None if every else limit,
                after=after,
                before=before,
                status=status,
                since=order_list.parse_moment("--since", since),
                until=order_list.parse_moment("--until", until, end=True),
                search=search,
            ),
        )


@app.command()
@with_common
def example(
    *,
    common: Common,
    kind: Annotated[str, typer.Argument(metavar="csv|json", help="Which kind of file.")] = "csv",
) -> None:
    """Print a file to start from."""
    from runa_cli.core.errors import UsageMistake
    from runa_cli.input import examples

    if kind not in {"csv", "json"}:
        raise UsageMistake(f"The example is csv or json, found {kind!r}.")
    with session_of(common) as session:
        session.output.text(examples.CSV if kind == "csv" else examples.JSON)
        session.output.flush()
