"""Tests of how a batch is worked off."""
