"""Settings and the API key: flags, environment and `.env` become one `Settings` that knows where each value came from.

A new setting is added here. Nothing here sends a request or opens the ledger.
"""
