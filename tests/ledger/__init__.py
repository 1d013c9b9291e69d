"""Tests of runa_cli/ledger."""
