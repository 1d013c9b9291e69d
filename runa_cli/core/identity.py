"""What the same gift is: values that mean the same are normalised here, once, and compared nowhere else.

The same gift has the same recipient, the same face value as a number, the same currency and the same set of products
(or the same product template). The redemption template, the description, metadata, the order of product codes and the
spelling of amounts make no difference. The recipient is the address of an EMAIL gift, the reference and the address of
a RECIPIENT gift, and the label of a payout link. Two gifts with different references are two gifts, but for what a
spreadsheet does to them: one that saves 007 as 7 makes no other gift.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct

from runa_cli.core import exact_json

_INVISIBLE = {"Cf", "Cc"}  # zero-width characters and controls
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_NUMBER = re.compile(r"0*([0-9]+?)(?:\.0*)?")  # as a spreadsheet takes it for one, and may write it otherwise


class GiftIdentity(Struct, frozen=True, eq=False):
    """Compares gifts: `gift` is equal for the same gift; `reference` is empty where there is none.

    `alike` is equal too where references or labels differ only in leading zeros, case or a `.0`, and empty without any.
    """

    gift: str
    reference: str
    alike: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GiftIdentity) and (self.gift, self.reference) == (other.gift, other.reference)

    def __hash__(self) -> int:
        return hash((self.gift, self.reference))

    def may_be(self, other: "GiftIdentity") -> bool:
        """Tell whether two gifts are the same; one without a reference may be the same as one with any."""
        told_apart = self.reference and other.reference and self.reference != other.reference
        return self.gift == other.gift and not told_apart

    def is_respelled(self, other: "GiftIdentity") -> bool:
        """Tell whether two gifts are the same but for the spelling of their references or labels."""
        return bool(self.alike) and self.alike == other.alike and not self.may_be(other)


def identify(item: Mapping[str, Any], currency: str, reference: str | None, carried: Sequence[str]) -> GiftIdentity:
    """Return the identity of an item as the API takes it; `currency` is that of its face value."""
    method = item["distribution_method"]
    address = normalized_address(method.get("email_address") or "")
    recipient: list[object] = [method["type"]]
    ids, kind = [reference] if reference else [], "reference"
    match method["type"]:
        case "EMAIL":
            recipient.append(address)
        case "RECIPIENT":
            recipient += [normalized_text(method.get("recipient_reference") or ""), address]
            ids.append(method.get("recipient_reference") or "")
        case _:
            recipient.append(label(reference, carried))
            if not reference:
                ids, kind = [*carried], "carried"
    what = _what_json(str(item["face_value"]), currency, *products_key(item["products"]))
    folded = sorted(filter(None, map(_folded, ids)))
    alike = _digest_of(f"[{exact_json.dumps([method['type'], address, kind, folded])[1:-1]},{what}]") if folded else ""
    return GiftIdentity(_digest_of(f"[{exact_json.dumps(recipient)},{what}]"), reference_key(reference), alike)


@lru_cache(maxsize=1024)  # a list has few values and choices of products
def _what_json(value: str, currency: str, *products: str) -> str:
    """Return what a gift is worth and for which products, as members of a JSON list."""
    return exact_json.dumps([f"{Decimal(value).normalize():f}", currency, [*products]])[1:-1]


def _folded(text: str) -> str:
    """Return a reference without what a spreadsheet changes in it."""
    folded = normalized_text(text).casefold()
    number = _NUMBER.fullmatch(folded)
    return number[1] if number else folded


def label(reference: str | None, carried: Sequence[str]) -> list[str]:
    """Return what a payout link is told apart by: its reference, or where there is none all carried cells together."""
    if reference:
        return ["reference", normalized_text(reference)]
    return ["carried", *sorted(filter(None, map(normalized_text, carried)))]


def label_text(reference: str | None, carried: Sequence[str]) -> str:
    """Return a label as a person reads it."""
    return reference or ", ".join(filter(None, carried))


def cells_by_heading(columns: Sequence[str], carried: Sequence[str]) -> list[list[str]]:
    """Return carried cells that are not empty with their headings, however the columns are arranged.

    Two payout links may have the same label, as far as a duplicate is concerned, and yet be for different people whose
    names have changed columns.
    """
    cells = ([name_key(heading), normalized_text(cell)] for heading, cell in zip(columns, carried, strict=False))
    return sorted(pair for pair in cells if pair[1])


def full_label(reference: str | None, carried: Sequence[str], columns: Sequence[str]) -> str | list[list[str]]:
    """Return what a payout link is certainly for: its reference, or where there is none its carried cells."""
    return normalized_text(reference) if reference else cells_by_heading(columns, carried)


def labels_digest(labels: Sequence[str | list[list[str]]]) -> str | None:
    """Return a digest of the full labels of payout links in their order; None where no link has one."""
    return _digest(labels) if any(labels) else None


def reference_key(reference: str | None) -> str:
    """Return a digest of a reference, which stays when the reference itself is pruned; empty where there is none."""
    text = normalized_text(reference or "")
    return _digest(text) if text else ""


def address_key(address: str) -> str:
    """Return a digest of an address, which stays when the address itself is pruned; empty where there is none."""
    text = normalized_address(address)
    return _digest(text) if text else ""


def recipient_key(item: Mapping[str, Any]) -> str:
    """Return a digest of the recipient whose card is loaded; empty for a gift that is no RECIPIENT gift.

    Runa finds the card by the reference of the recipient, whatever address comes with it.
    """
    method = item["distribution_method"]
    return _digest(normalized_text(method.get("recipient_reference") or "")) if method["type"] == "RECIPIENT" else ""


def products_key(products: Mapping[str, Any]) -> list[str]:
    """Return the set of products, in one order, or the product template."""
    if products.get("type") == "TEMPLATE":
        return ["template", str(products.get("template_id"))]
    codes = products.get("values") or [products.get("value")]
    if len(codes) == 1:
        return ["products", str(codes[0])]
    return ["products", *sorted({str(code) for code in codes})]


class Payee(NamedTuple):
    """Who a gift is for, as digests that stay when the gift is pruned: by address and by reference.

    Where there is no address, `by_email` is the reference or label instead, and where there is no reference,
    `by_reference` is the address or label. Both are empty for a payout link that nothing tells apart from others.
    """

    by_email: str = ""
    by_reference: str = ""


def payee(item: Mapping[str, Any], reference: str | None, carried: Sequence[str]) -> Payee:
    """Return who an item is for, for what counts per person: however address or reference are spelled.

    A reference or carried cell of a payout link that is an address stands for that address.
    """
    method = item["distribution_method"]
    named = normalized_text(method.get("recipient_reference") or reference or "")
    cells = [] if named else [*filter(None, map(normalized_text, carried))]
    address = method.get("email_address") or next(filter(_is_address, [named, *cells]), "")
    by_email = _payee_key("address", normalized_address(address)) if address else ""
    if _is_address(named):
        by_reference = _payee_key("address", normalized_address(named))
    elif named:
        by_reference = _payee_key("reference", _folded(named))
    else:
        by_reference = by_email or (_payee_key("carried", *sorted(map(_folded, cells))) if cells else "")
    return Payee(by_email or by_reference, by_reference)


def _is_address(text: str) -> bool:
    return "@" in text and _ADDRESS.fullmatch(text) is not None


def _payee_key(*parts: str) -> str:
    """Return a digest of what tells a recipient apart; none of its parts has a line break."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def products_text(products: Mapping[str, Any]) -> str:
    """Return a choice of products as text: codes with bars between them, or `template:` and an id."""
    kind, *codes = products_key(products)
    return f"template:{codes[0]}" if kind == "template" else "|".join(codes)


@lru_cache(maxsize=256)  # each address of a list is asked for a few times in a row
def normalized_address(address: str) -> str:
    """Return an address without regard to blanks around it, case, composed letters and the spelling of its domain."""
    local, at, domain = normalized_text(normalized_text(address).casefold()).rpartition("@")
    return f"{local}{at}{_ascii_domain(domain)}"


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain
    import idna  # only where a domain has other letters

    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain


def normalized_text(text: str) -> str:
    """Return text in composed form (NFC), without invisible characters, blanks folded and trimmed."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split()) if " " in text else text
    visible = (char for char in unicodedata.normalize("NFC", text) if char.isspace() or not _is_invisible(char))
    return " ".join("".join(visible).split())


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE


def name_key(name: str) -> str:
    """Return what the names of batches are found by: without regard to case as well."""
    return normalized_text(name).casefold()


def search_key(text: str) -> str:
    """Return what text is searched by: as `name_key`, and composed again, as folding case may decompose letters."""
    key = name_key(text)
    return key if key.isascii() else unicodedata.normalize("NFC", key)


def same_name(one: str, other: str) -> bool:
    """Tell whether two names of batches are the same, apart from blanks, invisible characters and composed letters."""
    return normalized_text(one) == normalized_text(other)


def fingerprint(identities: Iterable[tuple[str, str]]) -> str:
    """Return the digest of (gift, reference) identities that come sorted: the same gifts have the same one."""
    whole = hashlib.sha256()
    for gift, reference in identities:
        whole.update(f"{gift} {reference}\n".encode())
    return whole.hexdigest()


def _digest(value: object) -> str:
    return _digest_of(exact_json.dumps(value))


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
