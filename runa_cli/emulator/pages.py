"""The HTML pages: self-contained, without scripts, every value escaped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape

PROCESSING = "PROCESSING"
CANCELLED = "CANCELLED"

_STYLE = """
:root { color-scheme: light dark;
  --page: #f2f1f7; --card: #fff; --ink: #1d1b26; --soft: #6a6677; --line: #e3e0ec; --tint: #f4f1ff;
  --accent: #5b3df0; --from: #5b3df0; --to: #b04ae0; --warn: #8a5200; --warn-tint: #fff3d9; --bad: #b3203a;
  --bad-tint: #ffe6ea; --good: #0d6b45; --good-tint: #dcf7ea; --shadow: 0 18px 50px -20px #2b1b7a55; }
@media (prefers-color-scheme: dark) { :root {
  --page: #131119; --card: #1d1a27; --ink: #f1eff8; --soft: #a5a0b6; --line: #332e43; --tint: #272138;
  --accent: #b3a2ff; --from: #4a31c9; --to: #8d37b8; --warn: #ffcf7a; --warn-tint: #3d2f12; --bad: #ff9cab;
  --bad-tint: #431c26; --good: #7fe3b5; --good-tint: #14382a; --shadow: 0 18px 50px -20px #000c; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; padding: 24px 16px 40px; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 30rem; margin: 0 auto; }
a { color: var(--accent); }
h1, h2, p, ul, dl, dd { margin: 0; padding: 0; }
ul { list-style: none; }
code { font: .85em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; }
.notice { margin-bottom: 16px; padding: 10px 16px; border-radius: 12px; background: var(--warn-tint);
  color: var(--warn); font-size: .9rem; text-align: center; text-wrap: balance; }
.notice strong { display: block; }
.card { overflow: hidden; border-radius: 20px; background: var(--card); box-shadow: var(--shadow); }
.top { padding: 28px 24px 30px; background: linear-gradient(130deg, var(--from), var(--to)); color: #fff; }
.top p { font-size: .9rem; opacity: .9; }
.top h1 { font-size: clamp(2.2rem, 12vw, 3.2rem); line-height: 1.15; letter-spacing: -.02em; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.top h1 small { font-size: .45em; font-weight: 600; letter-spacing: .04em; opacity: .9; }
.top h1.words { margin-bottom: 6px; font-size: 1.75rem; }
.off .top { filter: grayscale(.85); }
.off .top h1 span { text-decoration: line-through; text-decoration-thickness: 3px; }
.state { padding: 12px 24px; font-size: .95rem; font-weight: 600; }
.processing, .badge.processing { background: var(--warn-tint); color: var(--warn); }
.cancelled, .badge.cancelled { background: var(--bad-tint); color: var(--bad); }
.body { padding: 22px 24px 24px; }
h2 { margin-bottom: 8px; color: var(--soft); font-size: .85rem; font-weight: 600; }
.products { display: grid; gap: 8px; }
.products li { display: flex; flex-wrap: wrap; gap: 0 12px; justify-content: space-between; align-items: baseline;
  padding: 9px 14px; border-radius: 10px; background: var(--tint); font-weight: 600; overflow-wrap: anywhere; }
.products code { color: var(--soft); font-weight: 400; }
figure { margin: 22px 0 0; color: var(--soft); font-size: .85rem; text-align: center; }
figure svg { display: block; width: 180px; margin: 0 auto 6px; border-radius: 10px; background: #fff;
  shape-rendering: crispEdges; }
dl { margin-top: 22px; border-top: 2px dashed var(--line); }
dl div { padding: 11px 0; border-bottom: 1px solid var(--line); }
dl div:last-child { padding-bottom: 0; border: 0; }
dt { color: var(--soft); font-size: .85rem; }
dd { overflow-wrap: anywhere; }
.badge { display: inline-block; padding: 1px 10px; border-radius: 99px; background: var(--good-tint);
  color: var(--good); font-size: .8rem; font-weight: 700; letter-spacing: .04em; }
.gifts a { display: block; padding: 14px 24px; border-top: 1px solid var(--line); color: inherit;
  text-decoration: none; }
.gifts li:first-child a { border: 0; }
.gifts a:hover, .gifts a:focus-visible { background: var(--tint); }
.row { display: flex; flex-wrap: wrap; gap: 0 12px; justify-content: space-between; align-items: baseline; }
.row strong { font-size: 1.1rem; font-variant-numeric: tabular-nums; }
.gifts p { color: var(--soft); font-size: .9rem; overflow-wrap: anywhere; }
.gifts p.products-line { color: var(--ink); }
footer { margin-top: 18px; color: var(--soft); font-size: .85rem; text-align: center; }
"""
_BACK = '<a href="/">The newest gifts of this emulator</a>'
_STATES = {
    PROCESSING: '<p class="state processing">The order is still being processed. Load this page again in a moment.</p>',
    CANCELLED: '<p class="state cancelled">The order failed, so this gift was cancelled.</p>',
}


@dataclass(frozen=True, slots=True)
class Gift:
    """One gift to show. `products` are codes and names. `status` is that of its payout, or PROCESSING.

    `link` is its payout link.
    """

    gift_id: str
    value: str
    currency: str
    products: tuple[tuple[str, str], ...]
    address: str | None
    order_id: str
    item_id: str
    status: str
    created_at: datetime
    link: str


def gift(shown: Gift) -> str:
    """Return the page of one gift."""
    choice = "One of these, as the recipient chooses" if len(shown.products) > 1 else "Product"
    products = "".join(f"<li>{escape(name)} <code>{escape(code)}</code></li>" for code, name in shown.products)
    off = " off" if shown.status == CANCELLED else ""
    content = f"""<article class="card{off}">
<header class="top"><p>A gift of</p>
<h1><span>{escape(shown.value)}</span> <small>{escape(shown.currency)}</small></h1></header>
{_STATES.get(shown.status, "")}
<div class="body">
<h2>{choice}</h2>
<ul class="products">{products}</ul>
{_code(shown)}<dl>{_details(shown)}</dl>
</div>
</article>"""
    return _page(f"{shown.value} {shown.currency}", "The gift is not real and cannot be spent.", content, _BACK)


def index(newest: Sequence[Gift], spent: Mapping[str, Decimal]) -> str:
    """Return the page that explains the emulator and links to the newest gifts; `spent` by currency."""
    sums = ", ".join(f"{total:,.2f} {escape(currency)}" for currency, total in spent.items())
    counted = f"<p>All orders so far: {sums}</p>" if sums else ""
    entries = "".join(_entry(shown) for shown in newest)
    listed = f'<ul class="gifts">{entries}</ul>' if newest else _NOTHING
    content = f"""<section class="card">
<header class="top"><h1 class="words">The emulator of runa</h1>
<p>A local stand-in for the Runa Payouts API. These are its newest gifts.</p>{counted}</header>
{listed}
</section>"""
    return _page("The newest gifts", "No gift here is real.", content, "The API is at <code>/v2</code>.")


def missing() -> str:
    """Return the page for a link without a gift."""
    content = """<section class="card">
<header class="top"><h1 class="words">No such gift</h1></header>
<div class="body"><p>This emulator has no gift at this link. Perhaps it was made in another home directory, or
<code>runa emulator reset</code> forgot it.</p></div>
</section>"""
    return _page("No such gift", "No gift here is real.", content, _BACK)


_NOTHING = """<div class="body"><p>There are none yet. This makes one:</p>
<p><code>runa order create --env local --face-value 10 --email fred@example.com --product AMZ-US</code></p></div>"""


def _page(title: str, notice: str, content: str, footer: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)} · runa emulator</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<p class="notice" role="note"><strong>This is the emulator&rsquo;s page.</strong> {notice}</p>
{content}
<footer>{footer}</footer>
</main>
</body>
</html>
"""


def _details(shown: Gift) -> str:
    recipient = [] if shown.address is None else [("Recipient", escape(shown.address))]
    rows = [
        *recipient,
        ("Status", _badge(shown.status)),
        ("Created", _time(shown.created_at)),
        ("Order", f"<code>{escape(shown.order_id)}</code>"),
        ("Item", f"<code>{escape(shown.item_id)}</code>"),
    ]
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)


def _code(shown: Gift) -> str:
    """Return the payout link as a QR code; nothing for a gift that cannot be redeemed."""
    if shown.status in _STATES:
        return ""
    import segno  # late: most commands that start the emulator show no page

    code = segno.make(shown.link, error="m", micro=False)
    drawn = code.svg_inline(border=4, omitsize=True, svgclass=None, lineclass=None)
    return f"<figure>{drawn}<figcaption>The payout link as a QR code</figcaption></figure>\n"


def _entry(shown: Gift) -> str:
    # A relative link works on this server, even if the payout link was made for another port.
    names = ", ".join(name for _, name in shown.products)
    recipient = "" if shown.address is None else f"<p>{escape(shown.address)}</p>"
    return f"""<li><a href="/gift/{escape(shown.gift_id)}">
<div class="row"><strong>{escape(shown.value)} {escape(shown.currency)}</strong>{_badge(shown.status)}</div>
<p class="products-line">{escape(names)}</p>{recipient}<p>{_time(shown.created_at)}</p>
</a></li>"""


def _badge(status: str) -> str:
    kind = {PROCESSING: " processing", CANCELLED: " cancelled"}.get(status, "")
    return f'<span class="badge{kind}">{escape(status)}</span>'


def _time(moment: datetime) -> str:
    return f'<time datetime="{escape(moment.isoformat())}">{moment:%Y-%m-%d %H:%M:%S} UTC</time>'
