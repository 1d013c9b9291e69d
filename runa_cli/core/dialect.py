"""How a CSV file is written, apart from its cells."""

from dataclasses import dataclass

COMMON_DELIMITERS = ",;\t"  # those that are told from a header; any other one is named in a line of its own


@dataclass(frozen=True)
class Dialect:
    """The separator of a CSV file's cells, and whether the file begins with a byte order mark."""

    delimiter: str = ","
    bom: bool = False


PLAIN = Dialect()
