"""Tests of what every package uses."""
