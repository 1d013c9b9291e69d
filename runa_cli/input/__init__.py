"""From flags and files to a plan: validated gifts, grouped into orders. Every mistake is reported with its place.

A new file format or column is added here. Nothing here sends a request or writes to the ledger.
"""
