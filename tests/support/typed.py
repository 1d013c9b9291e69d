"""What somebody types to issue gifts, how it can be edited and spelled, and which gifts are the same by meaning."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from runa_cli.input import reader
from runa_cli.input.plan import Plan
from runa_cli.input.request import OrderInput


class Meaning(NamedTuple):
    """What the same gift is: its recipient (an address, or the label of a payout link), value and set of products.

    The reference of a gift that has an address is compared apart, because none may be any.
    """

    recipient: str
    value: Decimal
    products: frozenset[str]


class Gift(NamedTuple):
    """A row of a file: what somebody is to get, with or without an address, a reference and a cell beside it."""

    address: str
    value: str
    product: str
    description: str | None
    reference: str = ""
    note: str = ""

    @property
    def meaning(self) -> Meaning:
        """What is meant by it."""
        return Meaning(
            recipient(self.address, self.reference, [self.note]),
            Decimal(self.value),
            frozenset(self.product.split("|")),
        )

    @property
    def reference_beside_address(self) -> str:
        """Its reference where that is no label; empty where there is none."""
        return self.reference if self.address else ""

    def as_in(self, gifts: "tuple[Gift, ...]") -> "Gift":
        """Return the same person's gift as a row of a file that tells its rows apart in another way."""
        person, like = (self.address or self.reference or self.note).partition("@")[0], gifts[0]
        return self._replace(
            address=f"{person}@example.com" if like.address else "",
            reference=person if like.reference and not like.address else self.reference if like.address else "",
            note=person if like.note and not like.address else self.note if like.address else "",
        )


def recipient(address: str, reference: str, carried: Iterable[str]) -> str:
    """Return whom a gift is for: its address, or the label of a payout link."""
    if address:
        return address.casefold()
    return f"reference {reference}" if reference else f"cells {'|'.join(filter(None, carried))}"


def wire_meaning(item: dict[str, Any]) -> Meaning:
    """Return what is meant by an item as Runa has it, which knows no labels."""
    products = item["products"]
    codes = products.get("values") or [products["value"]]
    address = item["distribution_method"].get("email_address") or ""
    return Meaning(address.casefold(), Decimal(str(item["face_value"])), frozenset(codes))


class Spelling(NamedTuple):
    """How a file is written; none of it changes what is meant."""

    decimals: bool = False
    capitals: bool = False
    codes_reversed: bool = False
    columns_reversed: bool = False
    rows_reversed: bool = False

    def cells(self, gift: Gift) -> dict[str, str | None]:
        """Return the cells of a row."""
        codes = gift.product.split("|")
        return {
            "email": gift.address.upper() if self.capitals else gift.address,
            "reference": gift.reference,
            "name": gift.note,
            "face_value": f"{Decimal(gift.value):.2f}" if self.decimals else gift.value,
            "product": "|".join(reversed(codes) if self.codes_reversed else codes),
            "description": gift.description,
        }


PLAIN = Spelling()
EDITS = ("add", "add on top", "change", "remove", "duplicate", "sort", "add a total")


@dataclass(frozen=True)
class Command:
    """A create, as it is typed."""

    source: str
    gifts: tuple[Gift, ...]
    name: str | None = None
    key: str | None = None
    again: bool = False
    cap: Decimal | None = None
    wait: bool = True
    concurrency: int = 1
    spelling: Spelling = PLAIN

    def arguments(self) -> tuple[str, ...]:
        """Return its command line."""
        flags: dict[str, object] = {
            "--batch": self.name, "--idempotency-key": self.key, "--max-total": self.cap,
            "--concurrency": self.concurrency,
        }  # fmt: skip
        if self.source == "flags":
            cells = self.spelling.cells(self.gifts[0])
            flags |= {"--face-value": cells["face_value"], "--email": cells["email"] or None}
            flags |= {"--product": cells["product"]}
        else:
            flags |= {"--file": "-", "--format": "csv"}
        typed = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
        typed += ["--again"] if self.again else []
        typed += [] if self.wait else ["--no-wait"]
        return ("order", "create", "--no-preflight", *typed)

    def stdin(self) -> str:
        """Return the file that it reads."""
        text = io.StringIO()
        if self.source == "file":
            rows = [self.spelling.cells(gift) for gift in self.gifts]
            columns = [name for name in rows[0] if name != "email" or any(row["email"] for row in rows)]
            rows = rows[::-1] if self.spelling.rows_reversed else rows
            columns = columns[::-1] if self.spelling.columns_reversed else columns
            writer = csv.DictWriter(text, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return text.getvalue()

    def plan(self) -> Plan:
        """Return what the program makes of it."""
        if self.source == "flags":
            (gift,) = self.gifts
            emails = (gift.address,) if gift.address else ()
            return reader.from_flags(OrderInput(face_value=gift.value, emails=emails, products=(gift.product,)))
        return reader.from_file(OrderInput(file_format="csv"), io.BytesIO(self.stdin().encode()))

    def total(self) -> Decimal:
        """Return what it costs."""
        return sum((Decimal(gift.value) for gift in self.gifts), Decimal(0))

    def meanings(self) -> Counter[Meaning]:
        """Count the gifts that it asks for."""
        return Counter(gift.meaning for gift in self.gifts)

    def wire_meanings(self) -> Counter[Meaning]:
        """Count the gifts that it asks for as Runa has them, without labels."""
        return Counter(
            Meaning(gift.address.casefold(), Decimal(gift.value), frozenset(gift.product.split("|")))
            for gift in self.gifts
        )

    @property
    def has_total(self) -> bool:
        """Whether its file has a row of totals, or a last row that looks like one, and so is refused."""
        *above, last = self.gifts[::-1] if self.spelling.rows_reversed else self.gifts
        is_sum = (
            len(above) > 1 and not last.address and Decimal(last.value) == sum(Decimal(gift.value) for gift in above)
        )
        return self.source == "file" and (is_sum or any(gift.note == "Total" for gift in self.gifts))

    def edited(self, change: str, row: int, gift: Gift) -> "Command":
        """Return the command with an edited file."""
        place, gifts, gift = row % len(self.gifts), self.gifts, gift.as_in(self.gifts)
        match change:
            case "add":
                gifts = (*gifts[:place], gift, *gifts[place:])
            case "add on top":
                gifts = (gift, *gifts)
            case "change":
                gifts = (*gifts[:place], gift, *gifts[place + 1 :])
            case "remove":
                gifts = (*gifts[:place], *gifts[place + 1 :]) if len(gifts) > 1 else (gift,)
            case "duplicate":
                gifts = (*gifts, gifts[place])
            case "sort":
                gifts = tuple(sorted(gifts, key=lambda gift: (gift.address, gift.reference, gift.note, gift.value)))
            case "add a total":
                gifts = (*gifts, Gift("", str(self.total()), gifts[0].product, gifts[0].description, note="Total"))
        return replace(self, gifts=gifts)
