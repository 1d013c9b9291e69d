"""How one run of the program ended."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LONGEST = 120  # seconds: no run of a test takes longer unless it hangs


@dataclass(frozen=True)
class Ran:
    """Exit code and output of one run. A run that was killed has the signal's negative number for a code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one document it must be."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The one error that standard error holds as a line of JSON."""
        (line,) = [line for line in self.err.splitlines() if line.startswith('{"error"')]
        error: dict[str, Any] = json.loads(line)["error"]
        return error
