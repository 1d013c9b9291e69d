"""How a CSV file is written, apart from its cells."""

from typing import NamedTuple

COMMON_DELIMITERS = ",;\t"  # those that are told from a header; any other one is named in a line of its own


class Dialect(NamedTuple):
    """The separator of a CSV file's cells, and whether the file begins with a byte order mark."""

    delimiter: str = ","
    bom: bool = False


PLAIN = Dialect()
