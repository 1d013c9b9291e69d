"""The ledger: every order is recorded here before it is sent, every reply before it is shown.

Its records, tables, queries and engines, and the claim that one process has on a batch. Nothing here decides what is
sent.
"""
