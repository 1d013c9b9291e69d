"""Gifts of the ledger as a table, and one of them as a list of facts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from runa_cli.core.identity import label_text
from runa_cli.ledger.records import Batch
from runa_cli.ledger.results import ResultRow
from runa_cli.output.tables import Column, Part, Summary, long_list_parts


class Listed(Struct, frozen=True):
    """A gift with its batch and when it was sent or recorded. `beside` is shown beside its recipient."""

    row: ResultRow
    batch: Batch
    created_at: str
    beside: Sequence[str] = ()


_ENVIRONMENT = Column("In")
_COLUMNS = (
    Column("Batch", own_line=True),
    Column("#", number=True),
    Column("Recipient"),
    Column("Value", number=True, no_wrap=True),
    Column("Products"),
    Column("Status", status=True),
    Column("Created"),
    Column("Payout link", no_wrap=True, link=True, own_line=True),
)


def gift_table(
    gifts: Iterable[Listed], width: int | None, *, empty_message: str, with_environment: bool = False
) -> Iterator[Part]:
    """Yield gifts as a table, in parts as they come. `width` is None where there is no terminal."""
    columns = (_ENVIRONMENT, *_COLUMNS) if with_environment else _COLUMNS
    rows = (_row(gift, with_environment=with_environment) for gift in gifts)
    return long_list_parts(columns, rows, width, empty_message=empty_message)


def gift_facts(gift: ResultRow, batch: Batch, created_at: str) -> Summary:
    """Return what is recorded of one gift."""
    facts = [
        ("Recipient", gift.recipient),
        ("Reference", gift.reference),
        ("Value", f"{gift.face_value} {gift.currency}"),
        ("Products", ", ".join(gift.products)),
        ("Payout link", gift.payout_url),
        ("Expires", gift.expiry_date),
        ("Price", gift.price),
        ("Error", gift.error),
        ("Batch", f"{batch.name}, row {gift.row}" if gift.row else batch.name),
        ("Environment", f"{batch.environment}, key {batch.account}"),
        ("Order", gift.order_id),
        ("Created", f"{datetime.fromisoformat(created_at):%Y-%m-%d %H:%M:%S} UTC" if created_at else ""),
        *zip(batch.columns, gift.carried, strict=False),
    ]
    return Summary("Gift", gift.item_id or "without an item id", gift.status, facts)


def _row(listed: Listed, *, with_environment: bool) -> list[str]:
    gift, created_at = listed.row, listed.created_at
    created = f"{datetime.fromisoformat(created_at).astimezone():%Y-%m-%d}" if created_at else ""
    label = gift.reference if gift.recipient else label_text(gift.reference, gift.carried)
    beside = () if label and not gift.reference else listed.beside  # else they are in the label already
    return [
        *([listed.batch.environment] if with_environment else []),
        listed.batch.name,
        str(gift.row or "-"),
        ", ".join(filter(None, (gift.recipient, label, *beside))) or "payout link",
        f"{gift.face_value} {gift.currency}".strip(),
        ", ".join(gift.products),
        gift.status,
        created,
        gift.payout_url,
    ]
