"""Gift cards as one HTML page for printing: self-contained, without scripts, every text escaped."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from itertools import islice

import segno
from msgspec import Struct

from runa_cli.core.safe_text import printable
from runa_cli.output.cards import Card

_STYLE = """
* { box-sizing: border-box; margin: 0; }
html { background: #fff; color: #000; }
body { margin: 0 auto;
  font: 10.5pt/1.3 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
p, h1, h2 { font-size: inherit; overflow-wrap: anywhere; }
.note { padding: 6mm; color: #333; font-size: 10pt; text-align: center; }
.kind { font-size: 7.5pt; font-weight: 700; letter-spacing: .18em; text-transform: uppercase; }
.value { font-size: 23pt; font-weight: 700; line-height: 1.15; letter-spacing: -.01em; white-space: nowrap; }
.value small { font-size: 12pt; letter-spacing: .03em; }
.for { border-bottom: .2mm solid #000; min-height: 1.3em; }
.blank { padding-top: 4mm; }
.small { color: #333; font-size: 8pt; }
.address, .link { word-break: break-all; }
.long { font-size: 8.5pt; }
.longer { font-size: 7pt; }
.longest { font-size: 5.5pt; }
.link { font: 7.5pt/1.35 "SF Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; }
.link.long { font-size: 6pt; }
.link.longer { font-size: 4pt; }
.mark { color: #555; font-size: 6.5pt; text-align: right; }
svg { display: block; shape-rendering: crispEdges; }
.empty { color: #555; }
@media print { .note { display: none; } }
"""

# Cards in rows of two. A row is never divided between two pages, and it grows where a text needs more room.
_SHEET_STYLE = """
@page { size: %(size)s; margin: %(margin)s; }
body { width: %(width)s; }
.row { display: flex; min-height: %(height)s; break-inside: avoid; page-break-inside: avoid; }
.card { display: flex; flex: 0 0 50%%; flex-direction: column; padding: 4.5mm 6mm 3mm;
  outline: .25mm dashed #888; outline-offset: -.125mm; break-inside: avoid; }
.top { display: flex; gap: 4mm; }
.facts { flex: 1; min-width: 0; }
.facts > * + *, .empty p + p { margin-top: 1.4mm; }
.top svg { flex: none; width: 34mm; height: 34mm; margin: -2mm -3mm 0 0; }
.how { display: flex; justify-content: space-between; align-items: baseline; gap: 3mm; margin: auto 0 .8mm;
  padding-top: 1.5mm; }
.how p { flex: none; max-width: 60%%; }
.top + .for { margin-top: .8mm; }
.card.empty { justify-content: space-between; }
"""

# A sheet that is folded twice: its bottom right quarter is the front, its top half (upside down) the inside.
_FOLD_STYLE = """
@page { size: A4 portrait; margin: 0; }
body { width: 210mm; }
.sheet { position: relative; width: 210mm; height: 296mm; overflow: hidden; break-after: page; break-inside: avoid; }
.sheet:last-child { break-after: auto; }
.panel { position: absolute; width: 105mm; height: 148mm; padding: 14mm; display: flex; flex-direction: column;
  justify-content: center; align-items: center; gap: 5mm; text-align: center; }
.panel > * { max-width: 100%; }
.left { left: 0; } .right { right: 0; } .inside { top: 0; transform: rotate(180deg); } .outside { bottom: 0; }
.fold { position: absolute; background: none; border: 0 dotted #aaa; }
.fold.across { top: 148mm; left: 0; width: 100%; border-top-width: .2mm; }
.fold.down { left: 105mm; top: 0; height: 100%; border-left-width: .2mm; }
.panel svg { width: 58mm; height: 58mm; }
.ribbon { width: 40mm !important; height: 40mm !important; shape-rendering: auto; }
.front { font-size: 20pt; font-weight: 300; letter-spacing: .04em; }
.panel .value { font-size: 34pt; }
.panel .value small { font-size: 16pt; }
.panel .for { min-width: 55mm; font-size: 14pt; }
.panel .for.long { font-size: 10pt; }
.panel .for.longer, .panel .for.longest { font-size: 8.5pt; }
.products { font-size: 13pt; }
"""
_RIBBON = (
    '<svg class="ribbon" viewBox="0 0 40 40" fill="none" stroke="#000" stroke-width=".7" stroke-linejoin="round">'
    '<path d="M5 18h30v18H5zM3 12h34v6H3zM17 12h6v24h-6z"/>'
    '<path d="M20 12C12 12 9 8 11 5s8 0 9 7c1-7 7-10 9-7s-1 7-9 7z"/></svg>'
)
_HOW = '<p class="small">Scan the code, or open this link:</p>'
_FOLDING = '<p class="mark">Fold the top half back, then the left half back.</p>'


class _Layout(Struct, frozen=True):
    style: str
    body: Callable[[Iterable[Card], str], Iterator[str]]


def card_page(cards: Iterable[Card], batch: str, layout: str) -> Iterator[str]:
    """Yield the page piece by piece, a few cards at a time. `layout` is one of `LAYOUTS`."""
    chosen = LAYOUTS[layout]
    name = _text(batch)
    yield f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Gift cards: {name}</title>
<style>{_STYLE}{chosen.style}</style>
</head>
<body>
<p class="note">Gift cards of batch {name}, for printing at 100&nbsp;%. Whoever has a card has the gift: keep this page
as you would keep cash, and delete it when the cards are printed.</p>
"""
    yield from chosen.body(cards, name)
    yield "</body>\n</html>\n"


def _rows(cards: Iterable[Card], batch: str) -> Iterator[str]:
    rest = iter(cards)
    while pair := [*islice(rest, 2)]:
        yield f'<div class="row">\n{"".join(_card(card, batch) for card in pair)}</div>\n'


def _card(card: Card, batch: str) -> str:
    if card.why_empty:
        return f'<article class="card empty">{_why_empty(card)}{_mark(card, batch)}</article>\n'
    facts = f"{_value(card)}{_products(card)}{_expiry(card)}"
    return f"""<article class="card">
<div class="top"><div class="facts"><p class="kind">Gift card</p>{facts}</div>{_code(card)}</div>
{_for(card)}<div class="how">{_HOW}{_mark(card, batch)}</div>{_link(card)}
</article>
"""


def _sheets(cards: Iterable[Card], batch: str) -> Iterator[str]:
    for card in cards:
        front = f'{_RIBBON}<p class="front">A gift for you</p>'
        welcome = f"{_for(card)}{_value(card)}{_products(card)}{_expiry(card)}"
        inside = f"{_code(card)}{_HOW}{_link(card)}"
        if card.why_empty:
            front, welcome, inside = "", "", _why_empty(card)
        yield f"""<article class="sheet{" empty" if card.why_empty else ""}">
<section class="panel inside left">{inside}</section><section class="panel inside right">{welcome}</section>
<section class="panel outside left">{_FOLDING}{_mark(card, batch)}</section>
<section class="panel outside right">{front}</section>
<div class="fold across"></div><div class="fold down"></div>
</article>
"""


def _sheet_layout(**measures: str) -> _Layout:
    return _Layout(_SHEET_STYLE % measures, _rows)


LAYOUTS: Mapping[str, _Layout] = {  # four rows of cards a page
    "a4": _sheet_layout(size="A4 portrait", margin="10mm 12mm", width="186mm", height="69mm"),
    "letter": _sheet_layout(size="8.5in 11in", margin="0.4in 0.45in", width="7.6in", height="2.54in"),
    "fold": _Layout(_FOLD_STYLE, _sheets),
}


# --- the parts of a card ---------------------------------------------------------------------------------------------


def _text(text: str) -> str:
    return escape(printable(text))


def _size(text: str, *limits: int) -> str:
    """Return the class that makes a text smaller that has more characters than a limit; the limits ascend."""
    over = sum(len(text) > limit for limit in limits)
    return ("", " long", " longer", " longest")[over]


def _value(card: Card) -> str:
    amount, _, currency = card.value.partition(" ")
    return f'<h2 class="value">{_text(amount)} <small>{_text(currency)}</small></h2>'


def _products(card: Card) -> str:
    return f'<p class="products{_size(card.products, 56, 112)}">{_text(card.products)}</p>' if card.products else ""


def _for(card: Card) -> str:
    """Return the recipient; a line to write a name on where there is none."""
    if not card.recipient:
        return '<p class="for blank"><span class="small">For</span></p>'
    size = _size(card.recipient, 44, 88, 140) + ("" if " " in card.recipient else " address")
    return f'<p class="for{size}"><span class="small">For</span> {_text(card.recipient)}</p>'


def _expiry(card: Card) -> str:
    return f'<p class="small">Valid until {_text(card.expiry)}</p>' if card.expiry else ""


def _link(card: Card) -> str:
    return f'<p class="link{_size(card.link, 150, 400)}">{_text(card.link)}</p>'


def _code(card: Card) -> str:
    """Return the link as a QR code; nothing where it is longer than a code holds."""
    try:
        code = segno.make(card.link, error="m", micro=False)
    except segno.DataOverflowError:
        return ""
    return str(code.svg_inline(border=4, omitsize=True, svgclass=None, lineclass=None))


def _mark(card: Card, batch: str) -> str:
    """Return which gift it is, for whoever prints and sorts the cards."""
    return f'<p class="mark">{batch} · {card.row}</p>'


def _why_empty(card: Card) -> str:
    gift = f"row {card.row}, for {_text(card.recipient)}," if card.recipient else f"row {card.row}"
    return (
        '<div><p class="kind">No gift</p>'
        f"<p>This card is empty: the gift of {gift} is {_text(card.why_empty)}.</p></div>"
    )
