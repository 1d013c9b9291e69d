"""Every output format is known wherever its name is needed, and writes every view."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from runa_cli import cli
from runa_cli.config.values import FORMATS, JSON_FORMATS
from runa_cli.output import formats
from runa_cli.output.formats import View
from runa_cli.output.stdout import Output
from runa_cli.output.tables import Part

ROOT = Path(__file__).parents[2]
VIEW = View(
    entries=lambda: [{"name": "a"}, {"name": "=b"}],
    table=lambda _: [Part("a table")],
    csv_header=["name"],
    csv_cells=lambda: [["a"], ["=b"]],
    links=lambda: ["http://127.0.0.1/gift/1"],
    gifts=lambda: [{"row": 1}, {"row": 2}],
)

WRITTEN = {
    "table": "a table\n",
    "json": '[\n  {\n    "name": "a"\n  },\n  {\n    "name": "=b"\n  }\n]\n',
    "jsonl": '{"name":"a"}\n{"name":"=b"}\n',
    "gifts": '{"row":1}\n{"row":2}\n',
    "csv": "name\na\n'=b\n",
    "links": "http://127.0.0.1/gift/1\n",
}


def test_each_format_that_settings_allow_has_a_writer() -> None:
    assert set(FORMATS) == set(formats.WRITERS)
    assert set(FORMATS) > JSON_FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_the_help_the_guide_and_the_example_settings_name_each_format(name: str) -> None:
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    settings = (ROOT / ".env.example").read_text(encoding="utf-8").rpartition("\n#RUNA_OUTPUT")[0]
    option = (
        CliRunner()
        .invoke(cli.program(), ["batch", "list", "--help"], terminal_width=200)
        .output.partition("--output")[2]
    )
    assert f"`{name}`" in guide.partition("Data goes to standard output")[2].partition("\n\n")[0]
    assert name in settings.rpartition("\n")[2].replace(".", "").replace(",", "").split()
    assert name in option.partition("--json")[0].replace(".", "").replace(",", "").split()


@pytest.mark.parametrize("name", FORMATS)
def test_a_view_is_written_in_each_format(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    formats.show(Output(name), VIEW)
    assert WRITTEN[name] == capfd.readouterr().out


def test_where_a_view_has_no_gifts_its_entries_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    formats.show(Output("gifts"), View(entries=lambda: [{"name": "a"}]))
    assert '{"name":"a"}\n' == capfd.readouterr().out


@pytest.mark.parametrize("name", ["csv", "links"])
def test_where_a_view_has_no_cells_or_links_its_table_is_shown(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    formats.show(Output(name), View(entries=list, lines=lambda: ["one line"]))
    assert "one line\n" == capfd.readouterr().out
