"""`order create` from its settled flags to its shown result."""

import re
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import cast

from runa_cli.app import show_outcome
from runa_cli.app.catalogue import CodeCurrencies
from runa_cli.app.session import Session
from runa_cli.core import money
from runa_cli.core.errors import ConfigurationError, InputError, UsageMistake
from runa_cli.input import reader
from runa_cli.input.plan import Plan
from runa_cli.input.reader import Format
from runa_cli.input.request import Given, Typed
from runa_cli.issuing.guard import Asked
from runa_cli.issuing.issuer import before_sending
from runa_cli.issuing.preflight import Preflight


@dataclass(frozen=True)
class Wish:
    """How what was typed is to be issued, as it was typed."""

    typed: Typed
    results: Path | None = None
    batch: str | None = None
    again: bool = False
    idempotency_key: str | None = None
    wait: bool = True
    stamp: bool = True
    dry_run: bool = False
    yes: bool = False
    confirm_total: str | None = None
    preflight: bool | None = None


def create(session: Session, wish: Wish) -> None:
    """Issue what was typed, once. Raises the RunaError that the run stands for."""
    session.checked()
    _check_flags(wish)
    with before_sending():
        plan = read_plan(session, wish.typed, stamp=wish.stamp)
    with plan:
        _check_one_order(wish, plan)
        asked = _asked(wish, session)
        _point_out(session, plan)
        if wish.dry_run:
            from runa_cli.app import dry_run

            if wish.preflight and (check := _preflight(wish, session, plan)):
                check(plan)
            dry_run.show(session, plan, asked)
        else:
            _issue(wish, session, plan, asked)


def _issue(wish: Wish, session: Session, plan: Plan, asked: Asked) -> None:
    lines = (
        show_outcome.LinesAsSettled(session.progress(), session.output) if session.output.format == "jsonl" else None
    )
    issuing = session.issuing(wait=wish.wait, progress=lines)
    with issuing.create(plan, asked, _preflight(wish, session, plan)) as run:
        show_outcome.show(session, run, results=wish.results, lines=lines)


def _preflight(wish: Wish, session: Session, plan: Plan) -> Callable[[Plan], None] | None:
    wanted = plan.order_count > 1 if wish.preflight is None else wish.preflight
    if not wanted:
        return None
    return Preflight(session.client, session.talk.say, session.environment, session.settings.timeout.value).check


def _check_flags(wish: Wish) -> None:
    """Raise UsageMistake for flags that do not go together."""
    file = wish.typed.file
    for wrong, sentence in (
        (
            wish.results is not None and file not in {None, "-"} and _is_same(wish.results, Path(file or "")),
            "--results names the input file, which it would replace.",
        ),
        (
            wish.batch is not None and not re.fullmatch(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}", wish.batch),
            "--batch must be 1 to 100 characters on one line.",
        ),
        (
            wish.idempotency_key is not None and not re.fullmatch(r"[\x21-\x7e]{1,200}", wish.idempotency_key),
            "--idempotency-key must be 1 to 200 plain characters without spaces.",
        ),
    ):
        if wrong:
            raise UsageMistake(sentence)


def _check_typed(typed: Typed) -> None:
    """Raise UsageMistake for flags about the gifts that do not go together."""
    for wrong, sentence in (
        (typed.emails and typed.quantity, "--quantity counts payout links; repeat --email for more mailed gifts."),
        (typed.products and typed.product_template, "--product and --product-template are two choices of products."),
        (typed.recipient and len(typed.emails) > 1, "--recipient takes one --email."),
        (typed.file_format and not typed.file, "--format says what --file is, and there is no --file."),
        (
            typed.file_format and typed.file_format not in {"json", "jsonl", "csv"},
            f"--format must be json, jsonl or csv, found {typed.file_format!r}.",
        ),
    ):
        if wrong:
            raise UsageMistake(sentence)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _check_one_order(wish: Wish, plan: Plan) -> None:
    if wish.idempotency_key is not None and plan.order_count > 1:
        raise UsageMistake(f"--idempotency-key is for one order, and this input makes {plan.order_count}.")


def read_plan(session: Session, typed: Typed, *, stamp: bool = True) -> Plan:
    """Return the plan of what was typed. Raises UsageMistake, InputError or ConfigurationError."""
    _check_typed(typed)
    try:
        return _read_input(session, typed, stamp=stamp)
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"The input does not fit into the temporary directory: {error}. Nothing was sent."
        ) from error


def _read_input(session: Session, typed: Typed, *, stamp: bool) -> Plan:
    settled = {
        **vars(typed),
        "products": typed.products or (() if typed.product_template else session.settings.products.value),
        "template_id": session.settings.template_id.value,
        "currency": session.settings.currency.value,
    }
    given = Given(**settled, mode=session.settings.mode.value, stamp=stamp, currency_of=CodeCurrencies(session))
    if given.file is None:
        return reader.from_flags(given)
    if given.file == "-" and sys.stdin is None:
        raise InputError("--file: standard input is closed.", "Nothing was sent or recorded.")
    stdin = sys.stdin.buffer if given.file == "-" else None
    return reader.from_file(given.file, given, cast(Format | None, given.file_format), stdin)


def _asked(wish: Wish, session: Session) -> Asked:
    return Asked(
        environment=session.environment,
        account=session.settings.account,
        name=wish.batch,
        idempotency_key=wish.idempotency_key,
        again=wish.again,
        mode=session.settings.mode.value,
        stamp=wish.stamp,
        max_total=session.settings.max_total.value,
        confirm_total=_amount("--confirm-total", wish.confirm_total),
        yes=wish.yes,
    )


def _amount(flag: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return money.parse_amount(text)
    except ValueError as error:
        raise UsageMistake(f"{flag} {error}.") from error


def _point_out(session: Session, plan: Plan) -> None:
    """Say which addresses get more than one gift; it may be meant."""
    for address, rows in plan.repeated_addresses():
        listed = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
        session.talk.say(f"Note: {address} gets {len(rows)} gifts (rows {listed}).")
