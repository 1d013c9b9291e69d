"""Draw the pictures of the README anew, from real runs of the program: `python -m tests.pictures`."""

import io
import re
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.support.program import Program
from tests.support.terminal import ended_on_a_terminal

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
COLUMNS = 88
SHEET = (
    "Name,Work Email,Reward Amount\n"
    "Ann Lee,ann@example.com,25.00\nBen Ode,ben@example.com,25.00\nCleo Ruiz,cleo@example.com,50.00\n"
)
CREATE = ("order", "create", "--file", "gifts.csv", "--product", "AMZ-US", "--batch", "bonus")
# What is another one in each run, and what the picture has in its place.
VARYING = (
    (r"O-[0-9A-Z]{26}", "O-01KAXJ2V7W5RY3ZP8D4MQ0T6HN"),
    (r"/gift/[0-9a-f-]{24}", "/gift/3f1c8a52-9d0e-4b67-a1c4-"),  # the last twelve digits tell the links apart
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-11-02 09:00:00"),
)
# The progress bar, which the program takes away when it is done; hyperlinks, which a picture cannot have.
PASSING = re.compile(r"\x1b\[\?25l.*?\x1b\[\?25h\r\x1b\[1A\x1b\[2K|\x1b\]8;[^\x1b]*\x1b\\", re.DOTALL)


def of_a_batch() -> str:
    """Return the picture of a list that is looked at, issued, and run once more, as SVG."""
    with tempfile.TemporaryDirectory() as home:
        program = Program(Path(home), {"RUNA_ENV": "local"})
        (program.home / "gifts.csv").write_text(SHEET)
        program("ledger", "init")  # a new ledger is announced with its path
        shown, links = Text(), dict[str, str]()
        for command in ((*CREATE, "--dry-run"), CREATE, (*CREATE, "--output", "links")):
            shown.append_text(_typed(command)).append_text(_shown(program, command, links)).append("\n")
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(shown, soft_wrap=True, end="")
    return console.export_svg(title="runa", unique_id="runa")


def _typed(command: tuple[str, ...]) -> Text:
    return Text.assemble(("$ ", "bold green"), (" ".join(["runa", *command]), "bold"), "\n")


def _shown(program: Program, command: tuple[str, ...], links: dict[str, str]) -> Text:
    code, written = ended_on_a_terminal(program, *command, columns=COLUMNS, env={"TERM": "xterm-256color"})
    assert 0 == code, written
    written = PASSING.sub("", written).replace("\r\n", "\n")
    for pattern, text in VARYING:
        written = re.sub(pattern, text, written)
    for link in dict.fromkeys(re.findall(r"a1c4-([0-9a-f]{12})", written)):
        links.setdefault(link, f"{len(links) + 1:x}" * 12)
        written = written.replace(link, links[link])
    return Text.from_ansi(written, no_wrap=True)


def draw_cards(picture: Path) -> None:
    """Draw the upper end of a page of printed cards as a browser shows it. Needs chromium."""
    with tempfile.TemporaryDirectory() as home:
        program = Program(Path(home), {"RUNA_ENV": "local"})
        (program.home / "gifts.csv").write_text(SHEET)
        program("product", "list", "--quiet")  # so that products are called by their names
        for command in (CREATE, ("batch", "cards", "bonus", "--to", "cards.html")):
            assert 0 == program(*command).code
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=900,341",
             f"--screenshot={picture}", str(program.home / "cards.html")],
            check=True, capture_output=True,
        )  # fmt: skip


def main() -> None:
    """Write the pictures."""
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "batch.svg").write_text(of_a_batch(), encoding="utf-8")
    draw_cards(PICTURES / "cards.png")


if __name__ == "__main__":
    main()
