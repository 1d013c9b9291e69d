"""CSV files to issue, and what became of them at the emulator."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runa_cli.emulator.server import Emulator
from tests.support.program import orders_at
from tests.support.ran import Ran

STAFF = "face_value,email\n25,ann@example.com\n25,ben@example.com\n40,cem@example.com\n"
LINKS = "face_value,reference\n25,E001\n25,E002\n40,E003\n"


def sheet(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write a CSV file."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def gifts(count: int, *, orders: int = 1, first: int = 0, **more: str) -> list[dict[str, str]]:
    """Return rows to different people, which make at least that many orders by their descriptions."""
    return [
        {
            "face_value": f"{10 + number % 40}",
            "email": f"person{number}@example.com",
            "product": "AMZ-US",
            "description": f"part {number % orders}",
            "reference": f"E{number:05}",
            "team": f"team {number % 3}",
            **more,
        }
        for number in range(first, first + count)
    ]


def rows_of(text: str) -> list[dict[str, str]]:
    """Read a CSV file."""
    return list(csv.DictReader(io.StringIO(text)))


def links_of(ran: Ran) -> dict[str, str]:
    """Return the link that is shown beside each address or reference."""
    return {row["email"] or row["reference"]: row["payout_url"] for row in rows_of(ran.out)}


def links_by_address(emulator: Emulator) -> dict[str, list[str]]:
    """Return the links that Runa made for each address."""
    return links_in(orders_at(emulator))


def links_in(orders: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the links of orders for each address."""
    links: dict[str, list[str]] = {}
    for order in orders:
        for item in order.get("items", ()):  # while it is processed, an order shows none
            links.setdefault(item["distribution_method"]["email_address"], []).append(item["payout"]["url"])
    return links
