"""The ledger: every order is recorded here before it is sent, every reply before it is shown.

Records, tables and migrations, queries, the claim of one process on a batch, and the recorded results. A new database
engine is added here. Nothing here decides what is sent, and nothing here knows HTTP.
"""
