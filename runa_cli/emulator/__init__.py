"""An emulator of the Runa Payouts API on loopback, with one account in one SQLite file."""
