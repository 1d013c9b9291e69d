"""The benchmarks run; what they measure is no matter of a test."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import BENCHMARKS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_still_runs(name: str) -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--tiny", name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)
    assert 0 == ran.returncode, ran.stderr
    heading, _, *lines = ran.stdout.splitlines()
    assert ["what", "measured", "floor", "ratio", "at most", "met"] == [
        cell.strip() for cell in heading.split("|")[1:-1]
    ]
    # What a tiny run leaves out, and commands that there are not yet.
    left_out = ("HTTPie", "No such option", "No such command", "PostgreSQL is not installed")
    assert [] == [line for line in lines if "not measured" in line and not any(reason in line for reason in left_out)]
    assert lines
