"""Send gift cards through the Runa Payouts API: never twice, never lost."""

__version__ = "0.1.0"
