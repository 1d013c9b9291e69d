"""Tests of requests, responses and what they prove."""
