"""A stand-in for the Runa Payouts API, on loopback, that keeps its account in one SQLite file."""
