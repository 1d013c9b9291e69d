"""Checks against the catalogue and the balance, before anything is sent."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from runa_cli.api import catalogue, responses
from runa_cli.api.client import Client
from runa_cli.api.pagination import LIST_PAGE
from runa_cli.core import exact_json
from runa_cli.core.errors import GuardRefused, RunaError
from runa_cli.core.money import format_money
from runa_cli.input.places import PlaceOf, RowPlace, flag_place
from runa_cli.input.plan import Plan
from runa_cli.input.problems import Place, Problems


class Preflight:
    """What Runa would say no to, found before it is asked. What cannot be fetched is said, and is no mistake."""

    def __init__(self, client: Client, say: Callable[[str], None], environment: str, seconds: float) -> None:
        self._client = client
        self._say = say
        self._environment = environment
        self._seconds = seconds

    def check(self, plan: Plan) -> None:
        """Raise InputError for products that cannot be ordered so, GuardRefused for too little money."""
        try:
            known_products = self._catalogue()
        except RunaError as error:
            self._say(f"The catalogue could not be fetched, so products are not checked: {error.message}")
        else:
            self._check_products(plan, known_products)
        if self._environment != "playground":  # any balance is accepted there
            self._check_balance(plan)

    def _catalogue(self) -> dict[str, catalogue.Product | None]:
        found: dict[str, catalogue.Product | None] = {}
        for page in self._client.pages("/product", "catalog", {"limit": LIST_PAGE}, seconds=self._seconds):
            for entry in page.members:
                try:
                    product = responses.parse(catalogue.Product, entry)
                except responses.Unreadable:  # a product that cannot be read is one that cannot be checked
                    found[str(entry.get("code"))] = None
                    continue
                found[product.code] = product
                found.update(dict.fromkeys(catalogue.plan_codes(product), product))
        return found

    def _check_products(self, plan: Plan, known_products: dict[str, catalogue.Product | None]) -> None:
        mistakes = Problems()
        for order in plan.orders():
            for gift in order.gifts:
                item = exact_json.loads(gift.item)
                if isinstance(item, dict):
                    where = flag_place if plan.file is None else RowPlace(Place(file=plan.file, row=gift.row))
                    self._check_item(item, where, order.currency, known_products, mistakes)
        mistakes.check()

    def _check_item(
        self,
        item: dict[str, Any],
        where: PlaceOf,
        currency: str,
        known_products: dict[str, catalogue.Product | None],
        mistakes: Problems,
    ) -> None:
        products = item["products"]
        codes = products.get("values") or [products["value"]] if products["type"] != "TEMPLATE" else []
        known = []
        for code in codes:
            place = where(("products",))
            product = known_products.get(code)
            if product is None:
                if code in known_products:
                    return
                mistakes.add(place, f"{code} is not in the catalogue")
            elif not product.is_orderable:
                mistakes.add(place, f"{code} cannot be ordered now ({product.state})")
            elif product.currency != currency:
                mistakes.add(place, f"{code} is in {product.currency}, not {currency}")
            else:
                known.append(product)
        value = item["face_value"]
        if known and not any(catalogue.takes_value(product, value) for product in known):
            allowed = "; ".join(
                f"{product.code} takes {catalogue.describe_denominations(product)}" for product in known
            )
            mistakes.add(where(("face_value",)), f"of {value.text} cannot be ordered: {allowed}")

    def _check_balance(self, plan: Plan) -> None:
        needed: dict[str, Decimal] = {}
        for order in plan.orders():
            if order.currency == order.head.payment_method.currency:  # a conversion's price is Runa's to say
                needed[order.currency] = needed.get(order.currency, Decimal(0)) + order.total
        for currency, total in needed.items():
            try:
                held = responses.parse(
                    responses.Balance, self._client.document("/balance", {"currency": currency}, seconds=self._seconds)
                )
            except (RunaError, responses.Unreadable) as error:
                self._say(f"The {currency} balance could not be fetched, so funds are not checked: {error}")
                continue
            if held.balance < total:
                raise GuardRefused(
                    f"The batch needs {format_money({currency: total})}, and the balance is"
                    f" {format_money({currency: held.balance})}. Nothing was sent.",
                    "Add funds, or --no-preflight to try all the same (discounts may make it enough).",
                    code="insufficient_funds",
                )
