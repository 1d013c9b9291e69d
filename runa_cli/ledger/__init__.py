"""The journal: every order is recorded here before it is sent, every reply before it is shown.

Records, their tables, the queries, and the claim that one process has on a batch. Nothing here decides what is sent.
"""
