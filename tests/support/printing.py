"""Prints a page with a real browser, and looks at the paper: what is written and which codes are read where.

`PRINTING=required` (which `.ci/run` sets) makes it a failure that a tool is missing; else the test is skipped.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_TOOLS = {"chromium": "chromium", "pdftoppm": "poppler-utils", "pdftotext": "poppler-utils", "zbarimg": "zbar-tools"}
_DPI = 150  # what a cheap printer and a phone's camera make of it together


@dataclass(frozen=True)
class Area:
    """A part of a page, in millimetres from its top left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Paper:
    """A printed page of a PDF file, numbered from 1."""

    pdf: Path
    number: int

    def codes(self, area: Area) -> list[str]:
        """Return what zbar reads in an area."""
        base = self.pdf.with_suffix(f".{self.number}")
        subprocess.run(
            ["pdftoppm", *self._cut(area, _DPI), "-gray", "-singlefile", str(self.pdf), str(base)], check=True
        )
        command = ["zbarimg", "--quiet", "--raw", "--nodbus", "-Sdisable", "-Sqrcode.enable", f"{base}.pgm"]
        read = subprocess.run(command, capture_output=True, text=True, check=False)
        assert read.returncode in {0, 4}, read.stderr  # 4: there is no code
        return read.stdout.splitlines()

    def text(self, area: Area) -> str:
        """Return the text in an area without blanks and hyphens, which depend on where lines break."""
        command = ["pdftotext", *self._cut(area, 72), str(self.pdf), "-"]
        return plain(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def _cut(self, area: Area, dpi: int) -> list[str]:
        sides = {"-x": area.left, "-y": area.top, "-W": area.width, "-H": area.height}
        cut = [part for flag, length in sides.items() for part in (flag, str(round(length / 25.4 * dpi)))]
        return ["-f", str(self.number), "-l", str(self.number), "-r", str(dpi), *cut]


def plain(text: str) -> str:
    """Return a text as `Paper.text` returns it."""
    return "".join(text.split()).replace("-", "")


def printed(page: Path) -> list[Paper]:
    """Print a page with Chromium, and return the paper."""
    _check_tools()
    pdf = page.with_suffix(".pdf")
    subprocess.run(
        # As root it needs --no-sandbox; the page is the test's own.
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
         f"--user-data-dir={page.parent / 'chromium'}", f"--print-to-pdf={pdf}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    information = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True).stdout
    (count,) = [int(line.split()[1]) for line in information.splitlines() if line.startswith("Pages:")]
    return [Paper(pdf, number) for number in range(1, count + 1)]


def _check_tools() -> None:
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if not missing:
        return
    sentence = f"not installed: {', '.join(missing)}"
    if os.environ.get("PRINTING") == "required":
        pytest.fail(sentence)
    pytest.skip(sentence)
