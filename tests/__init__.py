"""Tests of runa."""
