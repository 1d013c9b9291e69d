"""A search for inputs that break the readers, led by the lines of their code that an input reaches.

`python -m tests.coverage_fuzz --seconds 60` keeps the inputs that reach lines no other one did, and changes bytes of
them. It prints what it counted and exits 1 if anything but a named mistake came of an input, which it then shows.
"""

import argparse
import io
import random
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from msgspec.structs import replace

import runa_cli
from runa_cli.api import binding, catalogue, pagination, responses
from runa_cli.api.canonical import Stamp
from runa_cli.core import exact_json
from runa_cli.core.errors import InputError
from runa_cli.input import reader
from runa_cli.input.reader import Format
from runa_cli.input.request import OrderInput

WATCHED = (
    "input/plan_builder",
    "input/fields",
    "input/json_file",
    "input/csv_file",
    "input/decoding",
    "input/headings",
    "input/sheet_rows",
    "input/table",
    "input/totals",
    "core/amounts",
    "core/exact_json",
    "api/order_models",
    "api/responses",
)
LONGEST = 1 << 14  # bytes; what is longer only costs time

ITEM = (
    b'{"face_value":10.50,"distribution_method":{"type":"EMAIL","email_address":"ann@example.com"},'
    b'"products":{"type":"SINGLE","value":"AMZ-US"}}'
)
ORDER = b'{"payment_method":{"type":"ACCOUNT_BALANCE","currency":"USD"},"items":[' + ITEM + b'],"description":"a"}'
ANSWER = (
    b'{"id":"O-1","status":"COMPLETED","created_at":"2026-01-02T12:00:00Z","total_price":"10.50","metadata":{"a":"b"},'
    b'"items":[' + ITEM[:-1] + b',"payout":{"url":"https://spend.runa.io/1"}}]}'
)
SHEET = b"face_value,email,product,quantity,team\n10,ann@example.com,AMZ-US|AMC-US,2,north\n"
TOKENS = (
    b'{"', b'":', b"[", b"]", b"{", b"}", b",", b";", b"\t", b'"', b'""', b"\n", b"\r\n", b"\x00", b"\xef\xbb\xbf",
    b"\xff\xfe", b"\\ud800", b"\\u0000", b"\xe2\x80\xae", b"\xe2\x80\x8b", b"\xed\xa0\x80", b"NaN", b"Infinity",
    b"1e400", b"1e99999999999999999999", b"-0", b"999999999999", b"0.001", b"null", b"true", b"[[[[[[[[",
    b'{"a":{"a":{"a":',
    b"face_value", b"email", b"email_address", b"product", b"products", b"product_template", b"template_id",
    b"currency", b"quantity", b"recipient", b"recipient_reference", b"description", b"metadata", b"items",
    b"payment_method",
    b"Work Email", b"Betrag", b"UTID", b"Total", b"Summe", b"#N/A", b"25,00", "€ 5".encode(), b"sep=;",
    b"EMAIL", b"PAYOUT_LINK", b"RECIPIENT", b"SINGLE", b"MULTIPLE", b"TEMPLATE", b"values", b"value", b"usage_config",
    b"spend_rules_template_id", b"PSR-01HPSF51G0ZWHJ3JTNWRH0WDYK", b"PT-01HPSF51G0ZWHJ3JTNWRH0WDYK",
    b"DT-01HPSF51G0ZWHJ3JTNWRH0WDYK", b"AMZ-GB", b"GBP", b"runa_cli_key", b"emial", b"payout", b"FAILED", b"PROCESSING",
    b"details", b"location", b"body", b"UNKNOWN", b"available_list", b"denominations", b"gift_card", b"pagination",
)  # fmt: skip
FLAGS = (
    OrderInput(),
    OrderInput(face_value="5", products=("AMZ-US",), currency="USD", template_id="DT-01HPSF51G0ZWHJ3JTNWRH0WDYK"),
    OrderInput(emails=("ann@example.com",), description="a", metadata=("a=b", "c"), mode="sync", fx=True),
    OrderInput(product_template="PT-01HPSF51G0ZWHJ3JTNWRH0WDYK", quantity="2", stamp=False, recipient="panel-7"),
)
KINDS: tuple[Format | None, ...] = ("csv", "json", "jsonl", None)


def read_file(choice: int, raw: bytes) -> None:
    """Read the bytes as a file, and what was read back from what would be sent."""
    given, kind = FLAGS[choice % len(FLAGS)], KINDS[choice // len(FLAGS) % len(KINDS)]
    try:
        with reader.from_file(replace(given, file_format=kind), io.BytesIO(raw)) as plan:
            for order in plan.orders():
                exact_json.loads(order.body(Stamp("key", "bonus", named=True)).decode())
    except InputError:
        pass


def read_reply(_: int, raw: bytes) -> None:
    """Read the bytes as every kind of reply there is."""
    asked: Any = exact_json.loads(ORDER)
    responses.error_body(raw)
    for read in (responses.read_order, _read_balances, _read_product, _read_page):
        try:
            answer = read(raw)
        except responses.Unreadable:
            continue
        if isinstance(answer, responses.Order):
            binding.match_items(asked["items"], answer)
            binding.match_items(asked["items"], answer, with_links=False)
            exact_json.dumps([str(answer.created), answer.stamp])


def _read_product(raw: bytes) -> None:
    product = responses.parse(catalogue.Product, responses.read_object(raw))
    catalogue.takes_value(product, exact_json.Number("10"))
    catalogue.describe_denominations(product)
    catalogue.plan_codes(product)


def _read_balances(raw: bytes) -> None:
    responses.read_objects(raw, "balance")


def _read_page(raw: bytes) -> None:
    page = responses.read_object(raw)
    pagination.cursor_after(page)
    list(pagination.member_list(page, "items"))


READERS: tuple[Callable[[int, bytes], None], ...] = (read_file, read_reply)


@dataclass(frozen=True)
class Input:
    """Some bytes, and what is to read them."""

    reader: int
    choice: int
    raw: bytes


SEEDS = [
    *(Input(0, choice, SHEET) for choice in range(4)),
    *(Input(0, 4 + choice, raw) for choice in range(4) for raw in (ORDER, ITEM, b"[" + ITEM + b"," + ITEM + b"]")),
    Input(0, 8, ITEM + b"\n" + ORDER + b"\n"),
    Input(0, 12, ORDER),
    Input(1, 0, ANSWER),
    Input(1, 0, b'{"type":"validation_error","message":"a","details":[{"message":"b","location":["body","items",0]}]}'),
    Input(1, 0, b'{"code":"AMZ-US","gift_card":{"denominations":{"available_list":["10",20]}}}'),
    Input(1, 0, b'{"items":[{"id":"O-1"}],"pagination":{"cursors":{"after":"abc"}}}'),
]


class Lines:
    """Notes which lines of the watched modules run."""

    def __init__(self) -> None:
        package = Path(runa_cli.__file__).parent
        self._files = {str(package / f"{name}.py") for name in WATCHED}
        self.reached: set[tuple[str, int]] = set()

    def run(self, work: Callable[[], None]) -> int:
        """Do the work, and return how many lines it reached that nothing had reached before."""
        before = len(self.reached)
        sys.settrace(self._call)
        try:
            work()
        finally:
            sys.settrace(None)
        return len(self.reached) - before

    def count(self) -> int:
        """Return how many lines there are, by the compiler's own account."""
        lines: set[tuple[str, int]] = set()
        for name in self._files:
            _add_lines(compile(Path(name).read_text(), name, "exec"), lines, outermost=True)
        return len(lines | self.reached)

    def _call(self, frame: FrameType, _event: str, _: Any) -> Any:
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self.reached.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def _add_lines(code: CodeType, lines: set[tuple[str, int]], *, outermost: bool = False) -> None:
    """Add the lines inside of functions: those outside ran when the module was imported."""
    if not outermost and code.co_flags & 0x1:  # a function's, not a class's
        lines |= {(code.co_filename, line) for _, _, line in code.co_lines() if line and line != code.co_firstlineno}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add_lines(constant, lines)


@dataclass
class Search:
    """Changes inputs and keeps those that reach new lines."""

    chance: random.Random
    lines: Lines = field(default_factory=Lines)
    corpus: list[Input] = field(default_factory=list)
    executions: int = 0
    crashes: dict[str, Input] = field(default_factory=dict)

    def run(self, seconds: float) -> None:
        """Search for that long."""
        deadline = time.monotonic() + seconds
        for seed in SEEDS:
            self.attempt(seed)
        while time.monotonic() < deadline:
            self.attempt(self.changed(self.chance.choice(self.corpus or SEEDS)))

    def attempt(self, tried: Input) -> None:
        """Read one input, and keep it if it leads anywhere new."""
        self.executions += 1
        try:
            new = self.lines.run(lambda: READERS[tried.reader](tried.choice, tried.raw))
        except Exception as error:  # noqa: BLE001 - it is what is searched for
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.crashes.setdefault(
                f"{type(error).__name__} in {Path(where.filename).name}, line {where.lineno}", tried
            )
        else:
            if new:
                self.corpus.append(tried)

    def changed(self, parent: Input) -> Input:
        """Return an input with some of its bytes changed, and now and then read in another way."""
        raw = parent.raw
        for _ in range(self.chance.choice((1, 1, 2, 4, 8))):
            raw = self._change(raw)
        choice = self.chance.randrange(16) if self.chance.random() < 0.2 else parent.choice
        return Input(parent.reader, choice, raw[:LONGEST])

    def _change(self, raw: bytes) -> bytes:
        chance = self.chance
        start = chance.randint(0, len(raw))
        end = min(len(raw), start + chance.choice((0, 1, 1, 2, 4, 16, 64)))
        match chance.randrange(6):
            case 0:
                flipped = bytes(byte ^ (1 << chance.randrange(8)) for byte in raw[start:end])
                return raw[:start] + flipped + raw[end:]
            case 1:
                return raw[:start] + raw[end:]
            case 2:
                return raw[:start] + raw[start:end] * chance.choice((2, 3, 70)) + raw[end:]
            case 3:
                other = chance.choice(self.corpus or SEEDS).raw
                cut = chance.randint(0, len(other))
                return raw[:start] + other[cut : cut + chance.choice((1, 8, 64, 256))] + raw[end:]
            case 4:
                return raw[:start] + chance.choice(TOKENS) + raw[start:]
            case _:
                return raw[:start] + chance.choice(TOKENS) + raw[end:]


def main() -> int:
    """Search, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long to search")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes another search")
    wanted = parser.parse_args()
    search = Search(random.Random(wanted.seed))  # noqa: S311 - repeatable, not secret
    search.run(wanted.seconds)
    sys.stdout.write(
        f"{search.executions} executions, {len(search.corpus)} inputs kept, {len(search.lines.reached)} of"
        f" {search.lines.count()} lines reached, {len(search.crashes)} crashes\n"
    )
    for crash, tried in search.crashes.items():
        name = READERS[tried.reader].__name__
        sys.stdout.write(f"{crash}: {name}({tried.choice}, {tried.raw!r})\n")
    return 1 if search.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
