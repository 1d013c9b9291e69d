"""`order create`: request → plan → recorded orders → sent → shown."""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from runa_cli.app import show_outcome
from runa_cli.app.catalogue_codes import CatalogueCodes
from runa_cli.app.completion_names import keep_batches
from runa_cli.app.session import Session
from runa_cli.config.ledger_address import ServerLedger
from runa_cli.core.errors import ConfigurationError, Context, GuardRefused, UsageMistake
from runa_cli.core.garbage import collect_often
from runa_cli.input import reader
from runa_cli.input.plan import Plan
from runa_cli.input.request import CreateRequest, OrderInput
from runa_cli.issuing.issuer import before_sending
from runa_cli.issuing.reload_cards import changed_addresses
from runa_cli.output import results_file

_MOST_NAMED = 5


def create(session: Session, request: CreateRequest) -> None:
    """Issue what was asked for, once, and show the result. Raises the RunaError that the run ends in."""
    _check_name(session, request)
    try:
        _create(session, request)
    except GuardRefused as error:
        if error.context == Context():
            error.context = Context(batch=request.batch)
        raise


def _create(session: Session, request: CreateRequest) -> None:
    if request.order_input.file is not None:
        collect_often()
    with before_sending():
        if request.results is not None:
            results_file.check_writable(request.results)
        plan = read_plan(session, request.order_input)
    with plan:
        _check_one_order(request, plan)
        if request.results is not None:
            _check_fits(request.results, plan)
        _note_repeated_addresses(session, plan)
        _warn_of_changed_addresses(session, plan)
        with before_sending():
            _price_conversion(session, plan)
        if request.dry_run:
            from runa_cli.app import dry_run

            dry_run.show(session, plan, request, _preflight(session, request, plan))
            return
        try:
            if request.by_reference:
                from runa_cli.app import by_reference

                by_reference.issue(session, plan, request, _preflight(session, request, plan))
            else:
                _issue(session, plan, request, _preflight(session, request, plan))
        finally:
            keep_batches(session)


def _check_name(session: Session, request: CreateRequest) -> None:
    """Check that a batch of real money has a name where several machines issue. Raises ConfigurationError.

    Each of them would make up a name of its own for the same gifts, and so another key.
    """
    if request.live and request.batch is None and isinstance(session.settings.ledger.value, ServerLedger):
        raise ConfigurationError(
            "In live, an order needs a --batch name where the ledger is on a server. Nothing was sent.",
            "Add --batch NAME: issued from whichever machine, a batch of that name is issued once.",
            code="batch_name_needed",
        )


def read_plan(session: Session, order_input: OrderInput) -> Plan:
    """Return the validated plan of flags or a file. Raises InputError or ConfigurationError."""
    try:
        if order_input.file is None:
            return reader.from_flags(order_input, CatalogueCodes(session))
        stdin = sys.stdin.buffer if sys.stdin is not None else None
        return reader.from_file(order_input, stdin, CatalogueCodes(session))
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"The input does not fit into the temporary directory: {error}. Nothing was sent."
        ) from error


def _price_conversion(session: Session, plan: Plan) -> None:
    if plan.has_unknown_costs:
        from runa_cli.app.conversion_price import price_conversion

        price_conversion(session, plan)


def _issue(session: Session, plan: Plan, request: CreateRequest, preflight: Callable[[Plan], None] | None) -> None:
    lines = show_outcome.lines_as_settled(session)
    issuer = session.issuer(wait=request.wait, progress=lines)
    with issuer.balances.after(), issuer.recorded(plan, request, preflight) as batch:
        if request.propose:
            from runa_cli.app.propose import propose

            propose(session, issuer.approval.guard(), batch)
            return
        run = issuer.send(batch, again=request.again)
        show_outcome.show(session, run, results=request.results, lines=lines)


def _preflight(session: Session, request: CreateRequest, plan: Plan) -> Callable[[Plan], None] | None:
    """Return the check against catalogue and balance; None where it is not wanted. By default for several orders."""
    wanted = plan.order_count > 1 if request.preflight is None else request.preflight
    if not wanted:
        return None
    from runa_cli.issuing.preflight import Preflight

    return Preflight(
        session.client,
        session.console.say,
        session.environment,
        session.settings.timeout.value,
        balances=session.balances,
        settings=request.order_input.settings,
    ).check


def _check_one_order(request: CreateRequest, plan: Plan) -> None:
    if request.idempotency_key is not None and plan.order_count > 1:
        raise UsageMistake(f"--idempotency-key is for one order, and this input makes {plan.order_count}.")


def _check_fits(results: Path, plan: Plan) -> None:
    longer = plan.row_with_cell_over(results_file.MOST_CELL) if results_file.is_xlsx(results) else None
    results_file.check_fits(results, plan.item_count, len(plan.columns), longer)


def _warn_of_changed_addresses(session: Session, plan: Plan) -> None:
    """Warn of cards that Runa would refuse to load again, because their recipient has another address now."""
    if not plan.loads_cards:
        return
    count = 0
    for count, changed in enumerate(changed_addresses(plan, session.existing_ledger, session.environment), 1):
        if count <= _MOST_NAMED:
            session.console.warn(
                f"Row {changed.row}: the card of {changed.reference} was first loaded with the address {changed.first},"
                f" and this is {changed.now}. Runa refuses to load a card again under another address."
            )
    if count > _MOST_NAMED:
        session.console.warn(f"So it is in {count - _MOST_NAMED:,} more rows.")


def _note_repeated_addresses(session: Session, plan: Plan) -> None:
    """Note which addresses get more than one gift; it may be meant."""
    repeated, count = plan.repeated_addresses()
    for address, rows in repeated:
        listed = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
        session.console.say(f"Note: {address} gets {len(rows)} gifts (rows {listed}).")
    if count > len(repeated):
        session.console.say(f"Note: {count:,} addresses get several gifts. Is the list there twice?")
