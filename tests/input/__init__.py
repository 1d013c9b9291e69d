"""Tests of flags and files."""
