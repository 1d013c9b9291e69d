"""Checks a plan against Runa's catalogue and balance before anything is sent."""

from collections.abc import Callable, Mapping
from typing import Any

from runa_cli.api import catalogue, responses
from runa_cli.api.client import Client
from runa_cli.api.code_suggestions import NotInCatalogue
from runa_cli.api.order_models import Loc
from runa_cli.api.pagination import LIST_PAGE
from runa_cli.core import exact_json
from runa_cli.core.errors import GuardRefused, InputError, RunaError
from runa_cli.core.identity import GiftIdentity
from runa_cli.core.money import format_money
from runa_cli.input.places import RowPlace, flag_place
from runa_cli.input.plan import Plan
from runa_cli.input.problems import Place, Problems
from runa_cli.issuing.balances import LIVE, Balances
from runa_cli.issuing.refusals import GiftsInvalid


class Preflight:
    """Finds what Runa would reject. What cannot be fetched is reported and not checked; that is no error."""

    def __init__(
        self,
        client: Client,
        say: Callable[[str], None],
        environment: str,
        seconds: float,
        *,
        balances: Balances,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare the checks; `seconds` limits each request, `settings` names the settings in place of flags."""
        self._client = client
        self._say = say
        self._environment = environment
        self._seconds = seconds
        self._balances = balances
        self._settings = settings or {}

    def check(self, plan: Plan) -> None:
        """Raise InputError for products that cannot be ordered like this, GuardRefused for too low a balance."""
        try:
            known_products = self._catalogue()
        except RunaError as error:
            self._say(f"The catalogue could not be fetched, so products are not checked: {error.message}")
        else:
            self._check_products(plan, known_products)
        if self._environment == LIVE:  # elsewhere every payment is accepted, whatever the balance
            self._check_balance(plan)

    def _catalogue(self) -> dict[str, catalogue.Product | None]:
        """Return the products by product code and plan code; None for one that cannot be read."""
        products: dict[str, catalogue.Product | None] = {}
        for page in self._client.pages("/product", "catalog", {"limit": LIST_PAGE}, seconds=self._seconds):
            for entry in page.members:
                try:
                    product = responses.parse(catalogue.Product, entry)
                except responses.Unreadable:
                    products[str(entry.get("code"))] = None
                    continue
                products[product.code] = product
                products.update(dict.fromkeys(catalogue.plan_codes(product), product))
        return products

    def _check_products(self, plan: Plan, known_products: dict[str, catalogue.Product | None]) -> None:
        problems, refused = Problems(self._settings), dict[GiftIdentity, str]()
        names = {code: product.name for code, product in known_products.items() if product}
        not_in_catalogue = NotInCatalogue(names)
        for gift in plan.rows(left=True):
            item = exact_json.loads(gift.item)
            where = flag_place if plan.file is None else RowPlace.at(Place(file=plan.file, row=gift.row), gift.filled)
            if not isinstance(item, dict):
                continue
            found = _mistakes(item, gift.currency, known_products, not_in_catalogue)
            for loc, sentence in found:
                problems.add(where(loc, alone=True), sentence)
            if found:
                refused[gift.identity] = "; ".join(sentence for _, sentence in found)
        try:
            problems.check()
        except InputError as error:
            raise GiftsInvalid(error.message, error.hint, details=error.details, gifts=refused) from None

    def _check_balance(self, plan: Plan) -> None:
        for currency, total in plan.balances_needed.items():  # the price of a conversion is not known here
            try:
                balance = self._balances.fetch(currency, seconds=self._seconds)
            except (RunaError, responses.Unreadable) as error:
                self._say(f"The {currency} balance could not be fetched, so funds are not checked: {error}")
                continue
            if balance < total:
                raise GuardRefused(
                    f"The batch needs {format_money({currency: total})}, and the balance is"
                    f" {format_money({currency: balance})}. Nothing was sent.",
                    "Add funds, or use --no-preflight to send it anyway (with discounts the balance may suffice).",
                    code="insufficient_funds",
                )


def _mistakes(
    item: Mapping[str, Any],
    currency: str,
    known_products: Mapping[str, catalogue.Product | None],
    not_in_catalogue: NotInCatalogue,
) -> list[tuple[Loc, str]]:
    """Return what Runa would not take of an item, as (path in the item, sentence)."""
    products = item["products"]
    codes = products.get("values") or [products["value"]] if products["type"] != "TEMPLATE" else []
    found: list[tuple[Loc, str]] = []
    orderable = []
    for code in codes:
        product = known_products.get(code)
        if product is None:
            if code in known_products:  # it exists but cannot be read, so the value cannot be checked either
                return found
            found.append((("products",), not_in_catalogue(code, codes)))
        elif not product.is_orderable:
            found.append((("products",), f"{code} cannot be ordered now ({product.state})"))
        elif product.currency != currency:
            found.append((("products",), f"{code} is in {product.currency}, not {currency}"))
        else:
            orderable.append(product)
    value = item["face_value"]
    if orderable and not any(catalogue.takes_value(product, value) for product in orderable):
        allowed = "; ".join(
            f"{product.code} takes {catalogue.describe_denominations(product)}" for product in orderable
        )
        found.append((("face_value",), f"of {value.text} cannot be ordered: {allowed}"))
    return found
