"""Benchmarks: how fast `runa` is, and against what. They are no tests, and no test depends on a figure of theirs."""
