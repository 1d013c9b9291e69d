"""Tests of settings, keys and where they come from."""
