"""Tests of what a user does, with the real program."""
