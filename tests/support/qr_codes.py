"""Reads the QR codes of HTML pages as another program would."""

import re

import zxingcpp

_PIXELS = 4  # of a module, so that the reader has something to look at


def codes_in(html: str) -> list[str]:
    """Return what the QR codes in a piece of HTML say, in their order; each must be readable."""
    return [_read(svg) for svg in re.findall(r"<svg[^>]*>.*?</svg>", html, re.DOTALL) if "ribbon" not in svg]


def _read(svg: str) -> str:
    # It also takes parts of such a code for a bar code of another kind now and then.
    every = zxingcpp.read_barcodes(_pixels(svg))
    found = [code for code in every if code.format == zxingcpp.BarcodeFormat.QRCode]
    assert 1 == len(found), f"{len(found)} codes are readable in {svg[:60]}"
    return str(found[0].text)


def _pixels(svg: str) -> memoryview:
    """Return the pixels that a browser would draw: lines of squares, each a module high, on white."""
    size = int(re.search(r'viewBox="0 0 (\d+) \1"', svg)[1])  # type: ignore[index] # another shape fails the test
    drawn = re.search(r'<path stroke="#000" d="([^"]*)"', svg)[1]  # type: ignore[index]
    dark = [bytearray(b"\xff" * size) for _ in range(size)]
    x, y = 0, 0
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", drawn):
        first, *rest = (int(float(number) // 1) for number in numbers.split())
        if command == "h":
            dark[y][x : x + first] = bytes(first)
            x += first
        else:
            x, y = (first, rest[0]) if command == "M" else (x + first, y + rest[0])
    rows = (bytes(pixel for pixel in row for _ in range(_PIXELS)) for row in dark)
    whole = b"".join(row * _PIXELS for row in rows)
    return memoryview(whole).cast("B", (size * _PIXELS, size * _PIXELS))
