"""Settings with their origins, and the API key.

Flags, environment variables and `.env` are read into one `Settings`. Nothing here sends a request or reads the ledger.
"""
