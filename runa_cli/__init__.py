"""Send gift cards through the Runa Payouts API: never twice, never lost."""

__version__ = "0.2.0"
