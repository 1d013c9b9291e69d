"""What gifts are about, for whoever must say yes to them: people mailed, links made, products."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain

from msgspec import Struct, field

from runa_cli.core.money import counted
from runa_cli.input.plan import Plan
from runa_cli.ledger import results
from runa_cli.ledger.records import Order

MOST_PRODUCTS = 8  # listed by name


class Contents(Struct, frozen=True):
    """What a number of gifts is about.

    `mailed` counts the gifts that Runa mails, `people` their different addresses (None where that is not known), and
    `links` the gifts that are payout links. `products` counts the gifts of each product or choice of products.
    """

    mailed: int = 0
    people: int | None = 0
    links: int = 0
    products: Mapping[str, int] = field(default_factory=Counter)

    def __add__(self, other: "Contents") -> "Contents":
        """Return both together; an address may be in both, so the people are not known any more."""
        people = None if self.mailed and other.mailed else self.people or other.people
        products = Counter(self.products) + Counter(other.products)
        return Contents(self.mailed + other.mailed, people, self.links + other.links, products)

    @property
    def delivery(self) -> str:
        """How the gifts are delivered, as text for people."""
        parts = []
        if self.mailed:
            people = "" if self.people is None else f" to {counted(self.people, 'person', 'people')}"
            parts.append(f"{self.mailed:,} mailed{people}")
        if self.links:
            parts.append(f"{counted(self.links, 'payout link')} made")
        return ", ".join(parts)

    @property
    def product_list(self) -> str:
        """The products as text for people, with how many gifts each has where there are several."""
        if len(self.products) == 1:
            return next(iter(self.products))
        most = Counter(self.products).most_common(MOST_PRODUCTS)
        listed = ", ".join(f"{code} ({count:,})" for code, count in most)
        more = len(self.products) - len(most)
        return f"{listed}, … and {more} more" if more else listed


def contents_left(plan: Plan) -> Contents:
    """Return what the gifts of a plan are about that are not left out of it."""
    mailed = links = 0
    products: Counter[str] = Counter()
    for item, count in plan.kinds_left():
        row = results.row_from_item(item)
        products["|".join(row.products)] += count
        mailed, links = (mailed + count, links) if row.email else (mailed, links + count)
    return Contents(mailed, plan.people_left, links, products)


def contents_of(orders: Iterable[Order]) -> Contents:
    """Return what the gifts of recorded orders are about."""
    mailed = links = 0
    people: set[str] = set()
    products: Counter[str] = Counter()
    for item in chain.from_iterable(order.items for order in orders):
        products["|".join(results.products_of(item))] += 1
        if address := item["distribution_method"].get("email_address"):
            mailed += 1
            people.add(str(address).casefold())
        else:
            links += 1
    return Contents(mailed, len(people), links, products)
