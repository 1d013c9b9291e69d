"""Tests of commands and their completion."""
