"""One module for each thing a user does, and the session that gives it settings, ledger and client.

Nothing here declares flags; a step that several use belongs in the package it is about.
"""
