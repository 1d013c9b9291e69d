"""Tables for people: finished data in, the parts of a table out.

Rich, which draws them, is loaded only where a table is shown (`rich_tables.py`): it takes as long as a short command.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import RenderableType

    from runa_cli.ledger.results import ResultRow

_TABLE_ROWS = 200  # of one table of a long list


class Part(NamedTuple):
    """A piece of output. On a terminal text is wrapped between words, but not that of an `unwrapped` piece."""

    content: "RenderableType"
    unwrapped: bool = False


class Summary(NamedTuple):
    """The facts of one thing (an order, a batch, a product), in the order they are shown. Empty ones are left out."""

    title: str
    name: str
    status: str
    facts: Sequence[tuple[str, str]]


class Column(NamedTuple):
    """A column of a table.

    Where the table is wider than the terminal, the cells of a column with `own_line` are shown below their rows: those
    of the last such column first, and where that is not enough those of the others too.
    """

    heading: str
    number: bool = False  # aligned to the right
    style: str = ""
    status: bool = False  # coloured by its value
    no_wrap: bool = False  # other cells are wrapped between words
    link: bool = False
    own_line: bool = False


def order_parts(summary: Summary, gifts: "Sequence[ResultRow]", width: int | None) -> Iterator[Part]:
    """Yield the facts of one order, then a table of its gifts. `width` is None where there is no terminal."""
    from runa_cli.output import rich_tables

    return rich_tables.order_parts(summary, gifts, width)


def summary_parts(summary: Summary, width: int | None) -> Iterator[Part]:
    """Yield a heading with name and status, and each fact. `width` is None where there is no terminal."""
    from runa_cli.output import rich_tables

    return rich_tables.summary_parts(summary, width)


def list_parts(columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int | None) -> Iterator[Part]:
    """Yield a table of texts. `width` is None where there is no terminal."""
    from runa_cli.output import rich_tables

    return rich_tables.list_parts(columns, rows, width)


def long_list_parts(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int | None, *, empty_message: str
) -> Iterator[Part]:
    """Yield a list as several tables, as its rows come, so that it is never in memory as a whole.

    `empty_message` replaces a table without rows.
    """
    rows = iter(rows)
    chunk = [*islice(rows, _TABLE_ROWS)]
    if not chunk:
        yield Part(empty_message)
    while chunk:
        yield from list_parts(columns, chunk, width)
        chunk = [*islice(rows, _TABLE_ROWS)]
        if chunk and width is not None:
            yield Part("")
