"""A local emulator of the Runa Payouts API, which keeps its account in one SQLite file.

It shares no code with the rest of the program, so that it cannot share a mistake with it: it imports nothing of the
other packages, and only the two places that start it import it.
"""
