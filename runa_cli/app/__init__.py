"""One module for each thing a user does, and the session that opens settings, ledger and client for it.

Nothing here declares flags. A step that several modules need belongs in the package that it is about.
"""
