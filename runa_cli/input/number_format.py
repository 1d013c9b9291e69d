"""What a spreadsheet shows of a number or a date, by the number format of its cell (ECMA-376, part 1, 18.8.31).

Separators of thousands are left out, because they could be taken for a decimal point. A format that is not understood
gives None.
"""

import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

_TOKEN = re.compile(
    r"""
    "(?P<quoted>[^"]*)" | \\(?P<escaped>.) | _(?P<space>.) | \*(?P<fill>.)
    | \[\$(?P<symbol>[^\]-]*)(?:-[^\]]*)?\] | \[(?P<option>[^\]]*)\]
    | (?P<general>General) | (?P<digits>[0#?][0#?,]*(?:\.[0#?]*,*)?|\.[0#?]+,*) | (?P<percent>%) | (?P<text>@)
    | (?P<date>yyyy|yy|mmmmm|mmmm|mmm|mm|m|dddd|ddd|dd|d|hh|h|ss|s|AM/PM|am/pm) | (?P<literal>[^0#?@%*_\\"\[])
    """,
    re.VERBOSE,
)
_COLOURS = re.compile(r"(?i)black|blue|cyan|green|magenta|red|white|yellow|color ?[0-9]+")
_LOCAL_DATES = {"mm-dd-yy", "m/d/yy", "m/d/yyyy h:mm", "m/d/yy h:mm"}  # shown as the system of the reader writes dates
_ROUND = 15  # significant digits, as a spreadsheet shows a number without a format


def shown_number(value: float, number_format: str) -> str | None:
    """Return a number as its cell shows it, with a decimal point and without separators of thousands."""
    number = _exact(value)
    sections = _sections(number_format)
    section = sections[0]
    if number < 0 and len(sections) > 1:
        section, number = sections[1], -number
    elif number == 0 and len(sections) > 2:
        section = sections[2]
    tokens = _tokens(section)
    if tokens is None:
        return None
    percent = any(kind == "percent" for kind, _ in tokens)
    shown = _written(tokens, number * 100 if percent else number)
    return shown.strip() if shown is not None else None


def shown_date(value: date | time | timedelta, number_format: str) -> str:
    """Return a date or a time as its cell shows it; in ISO 8601 where the format is not understood."""
    if not isinstance(value, datetime):
        return str(value)
    tokens = None if number_format in _LOCAL_DATES else _tokens(_sections(number_format)[0])
    written = None if tokens is None else _written_date(tokens, value)
    if written is not None:
        return written
    return str(value.date() if value.time() == time() else value)


def _exact(value: float) -> Decimal:
    """Return a number as a spreadsheet knows it, which shows fifteen digits of a binary float."""
    return Decimal(value) if isinstance(value, int) else Decimal(f"{value:.{_ROUND}g}")


@lru_cache(maxsize=256)  # a sheet has few formats
def _sections(number_format: str) -> list[str]:
    """Return the formats of positive numbers, negative ones, zero and text, as far as they are given."""
    sections, start = [], 0
    for found in re.finditer(r'"[^"]*"|\\.|\[[^\]]*\]|(?P<end>;)', number_format):
        if found["end"]:
            sections.append(number_format[start : found.start()])
            start = found.end()
    return [*sections, number_format[start:]]


@lru_cache(maxsize=256)
def _tokens(section: str) -> list[tuple[str, str]] | None:
    """Return the parts of a format; None where one of them is not understood."""
    tokens, position = [], 0
    while position < len(section):
        found = _TOKEN.match(section, position)
        if found is None or found.lastgroup is None:
            return None
        kind, text = found.lastgroup, found[found.lastgroup]
        if kind == "option" and not _COLOURS.fullmatch(text):
            return None
        tokens.append((kind, text))
        position = found.end()
    return tokens


def _written(tokens: list[tuple[str, str]], number: Decimal) -> str | None:
    pieces, has_number = [], False
    for kind, text in tokens:
        match kind:
            case "general" | "text":
                pieces.append(f"{number:f}")
                has_number = True
            case "digits":
                if has_number or text.endswith(",") or ",." in text:  # a comma at the end divides by a thousand
                    return None
                pieces.append(_digits(text, number))
                has_number = True
            case "quoted" | "escaped" | "symbol":
                pieces.append(text)
            case "percent":
                pieces.append("%")
            case "literal" if not text.isalpha():
                pieces.append(text)
            case "space" | "fill":
                pieces.append(" ")
            case "option":
                pass
            case _:
                return None
    return re.sub(" +", " ", "".join(pieces)) if has_number or pieces else None


def _digits(pattern: str, number: Decimal) -> str:
    whole, _, decimals = pattern.replace(",", "").partition(".")
    rounded = number.quantize(Decimal(1).scaleb(-len(decimals)), ROUND_HALF_UP)
    sign, text = ("-" if rounded < 0 else ""), f"{abs(rounded):f}"
    left, _, right = text.partition(".")
    needed = sum(place == "0" for place in whole)
    left = left.lstrip("0").rjust(needed, "0")
    optional = len(decimals) - len(decimals.rstrip("#?"))
    while optional and right.endswith("0"):
        right, optional = right[:-1], optional - 1
    return sign + (left or "0") + (f".{right}" if right else "")


def _written_date(tokens: list[tuple[str, str]], value: datetime) -> str | None:
    pieces, previous = [], ""
    twelve = any(text.lower() == "am/pm" for kind, text in tokens if kind == "date")
    for index, (kind, text) in enumerate(tokens):
        if kind == "date":
            after = next((later for later_kind, later in tokens[index + 1 :] if later_kind == "date"), "")
            pieces.append(
                _date_part(text, value, is_minute=previous in {"h", "hh"} or after in {"s", "ss"}, twelve=twelve)
            )
            previous = text
        elif kind in {"quoted", "escaped", "literal"} and not (kind == "literal" and text.isalpha()):
            pieces.append(text)
        elif kind not in {"symbol", "space", "fill", "option", "text"}:
            return None
    return "".join(pieces)


def _date_part(part: str, value: datetime, *, is_minute: bool, twelve: bool) -> str:
    hour = (value.hour + 11) % 12 + 1 if twelve else value.hour
    match part.lower():
        case "mm" if is_minute:
            return f"{value.minute:02}"
        case "m" if is_minute:
            return str(value.minute)
        case "yyyy":
            return f"{value.year:04}"
        case "yy":
            return f"{value.year % 100:02}"
        case "mmmm" | "mmm" | "mmmmm":
            name = f"{value:%B}"
            return {"mmmm": name, "mmm": name[:3], "mmmmm": name[:1]}[part.lower()]
        case "dddd" | "ddd":
            name = f"{value:%A}"
            return name if part.lower() == "dddd" else name[:3]
        case "am/pm":
            return f"{value:%p}"
        case _:
            number = {"m": value.month, "d": value.day, "h": hour, "s": value.second}[part.lower()[0]]
            return f"{number:0{len(part)}}"
