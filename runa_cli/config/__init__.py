"""Settings, where each came from, and the API key.

Flags, environment and `.env` become one `Settings`. Nothing here asks Runa or reads the ledger.
"""
