"""Tests of formats, streams and what a terminal is shown."""
