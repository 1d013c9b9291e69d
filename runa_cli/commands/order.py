"""`runa order`: create, estimate, get, list, example."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from runa_cli.commands.options import Group, TimeoutOption, open_session, with_common
from runa_cli.commands.order_options import (
    Again,
    BatchName,
    ByReference,
    Concurrency,
    Confirm,
    ConfirmTotal,
    DryRun,
    IdempotencyKey,
    MaxTotal,
    Mode,
    NoLookup,
    NoStamp,
    Preflight,
    Propose,
    RateLimit,
    Results,
    SendingTimeout,
    WaitOption,
    Yes,
    check_order_input,
    with_order_input,
)
from runa_cli.core.errors import UsageMistake

if TYPE_CHECKING:
    from decimal import Decimal

    from runa_cli.app.session import CommonOptions
    from runa_cli.input.request import OrderInput

app = typer.Typer(cls=Group, help="Issue gifts, and look up orders at Runa.", no_args_is_help=True)


@app.command()
@with_common
@with_order_input
def create(
    *,
    common: "CommonOptions",
    order_input: "OrderInput",
    results: Results = None,
    batch: BatchName = None,
    again: Again = False,
    by_reference: ByReference = False,
    idempotency_key: IdempotencyKey = None,
    no_lookup: NoLookup = False,
    dry_run: DryRun = False,
    max_total: MaxTotal = None,
    confirm: Confirm = False,
    yes: Yes = False,
    confirm_total: ConfirmTotal = None,
    preflight: Preflight = None,
    propose: Propose = False,
    mode: Mode = None,
    wait: WaitOption = True,
    timeout: SendingTimeout = None,
    concurrency: Concurrency = None,
    rate_limit: RateLimit = None,
    no_stamp: NoStamp = False,
) -> None:
    """Issue gifts: from flags, or from a file.

    Whatever breaks in between, run the same command again: it never pays twice and always shows the links.

    $ runa order create --face-value 10 --email ann@example.com --product AMZ-US
    $ runa order create --file gifts.csv --batch welcome --dry-run
    $ runa order create --file gifts.csv --batch welcome --results results.csv
    """
    from runa_cli.app.create import create as run
    from runa_cli.core.identity import normalized_text
    from runa_cli.input.request import CreateRequest

    with open_session(
        common,
        RUNA_CURRENCY=order_input.currency,
        RUNA_TEMPLATE_ID=order_input.template_id,
        RUNA_MODE=mode,
        RUNA_TIMEOUT=timeout,
        RUNA_CONCURRENCY=concurrency,
        RUNA_RATE_LIMIT=rate_limit,
        RUNA_MAX_TOTAL=max_total,
    ) as session:
        settings = session.checked()
        _check_create(order_input, results, batch, idempotency_key)
        _check_by_reference(order_input, idempotency_key, by_reference=by_reference)
        if propose and (by_reference or results is not None):
            raise UsageMistake(
                "--propose sends nothing, so that it goes with neither --results nor --by-reference.",
                "`runa batch resume NAME` and `runa batch export NAME` show the results once it is sent.",
            )
        request = CreateRequest(
            order_input=replace(order_input.with_settings(settings), stamp=not no_stamp, by_reference=by_reference),
            environment=session.environment,
            account=settings.account,
            batch=None if batch is None else normalized_text(batch),
            again=again,
            idempotency_key=idempotency_key,
            look_back=0 if no_lookup else settings.look_back.value,
            max_total=settings.max_total.value,
            confirm_total=_amount("--confirm-total", confirm_total),
            confirm=confirm,
            yes=yes,
            preflight=preflight,
            dry_run=dry_run,
            wait=wait,
            results=results,
            propose=propose,
        )
        run(session, request)


def _check_create(
    order_input: "OrderInput", results: Path | None, batch: str | None, idempotency_key: str | None
) -> None:
    """Check that the options of a create go together. Raises UsageMistake."""
    file = order_input.file
    if results is not None and file not in {None, "-"} and _is_same_file(results, Path(file or "")):
        raise UsageMistake("--results names the input file, which it would replace.")
    if batch is not None and not batch.strip():
        raise UsageMistake("--batch must be 1 to 100 characters on one line.")
    if batch is not None and not re.fullmatch(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}", batch):
        raise UsageMistake("--batch must be 1 to 100 characters on one line.")
    if idempotency_key is not None and not re.fullmatch(r"[\x21-\x7e]{1,200}", idempotency_key):
        raise UsageMistake("--idempotency-key must be 1 to 200 plain characters without spaces.")
    check_order_input(order_input)


def _check_by_reference(order_input: "OrderInput", idempotency_key: str | None, *, by_reference: bool) -> None:
    """Check that references can be the ids of the gifts. Raises UsageMistake."""
    if by_reference and order_input.file is None:
        raise UsageMistake("--by-reference needs a --file (or - for standard input) whose gifts have a reference each.")
    if by_reference and idempotency_key is not None:
        raise UsageMistake("--by-reference and --idempotency-key are two ways to issue once: use one of them.")


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _amount(flag: str, text: str | None) -> "Decimal | None":
    from runa_cli.core.money import parse_amount

    if text is None:
        return None
    try:
        return parse_amount(text)
    except ValueError as error:
        raise UsageMistake(f"{flag} {error}.") from error


@app.command()
@with_common
def get(
    *,
    common: "CommonOptions",
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id, O-…")],
    wait: Annotated[bool, typer.Option("--wait", metavar="", help="Until it is settled.")] = False,
    timeout: TimeoutOption = None,
) -> None:
    """Show one order by its id.

    $ runa order get O-01JD0000000000000000000000
    $ runa order get O-01JD0000000000000000000000 --wait -o links
    """
    from runa_cli.app import orders

    with open_session(common, RUNA_TIMEOUT=timeout) as session:
        orders.show_order(session, order_id, wait=wait)


@app.command()
@with_common
@with_order_input
def estimate(*, common: "CommonOptions", order_input: "OrderInput", timeout: TimeoutOption = None) -> None:
    """Show what the same input would cost, item by item.

    Nothing is sent that moves money.

    $ runa order estimate --face-value 10 --product AMZ-US
    $ runa order estimate --file gifts.csv
    """
    from runa_cli.app import estimate

    with open_session(
        common, RUNA_CURRENCY=order_input.currency, RUNA_TEMPLATE_ID=order_input.template_id, RUNA_TIMEOUT=timeout
    ) as session:
        check_order_input(order_input)
        estimate.estimate(session, order_input.with_settings(session.settings))


@app.command("list")
@with_common
def list_(
    *,
    common: "CommonOptions",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")] = 20,
    every: Annotated[bool, typer.Option("--all", metavar="", help="All there are, without a limit.")] = False,
    after: Annotated[str | None, typer.Option("--after", metavar="CURSOR", help="From a cursor of Runa's on.")] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="CURSOR", help="The page before a cursor.")] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", metavar="STATUS", help="COMPLETED, FAILED or PROCESSING (filtered here)."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Created on that day or later (filtered here).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Created on that day or earlier (filtered here).")
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="In the description (filtered here).")
    ] = None,
) -> None:
    """Show the orders at Runa, newest first as Runa gives them.

    Runa's list has no filters: what is filtered here is fetched first, page by page.

    $ runa order list
    $ runa order list --since 2026-11-01 --status FAILED
    """
    from runa_cli.app import order_list
    from runa_cli.app.moments import parse_moment

    with open_session(common) as session:
        order_list.show(
            session,
            order_list.OrderFilter(
                limit=None if every else limit,
                after=after,
                before=before,
                status=status,
                since=parse_moment("--since", since),
                until=parse_moment("--until", until, end=True),
                search=search,
            ),
        )


@app.command()
@with_common
def example(
    *,
    common: "CommonOptions",
    kind: Annotated[str, typer.Argument(metavar="csv|xlsx|json", help="Which kind of file.")] = "csv",
) -> None:
    """Print a file to start from.

    A workbook cannot be shown on a terminal: write it into a file.

    $ runa order example csv > gifts.csv
    $ runa order example xlsx > gifts.xlsx
    """
    from runa_cli.app import example

    if kind not in {"csv", "xlsx", "json"}:
        raise UsageMistake(f"The example is csv, xlsx or json, found {kind!r}.")
    with open_session(common) as session:
        example.show(session, kind)
