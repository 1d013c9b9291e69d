"""The commands: flags, help texts and checks of flags that contradict each other; then one call into `app`.

Nothing here opens the ledger or sends a request. What only some commands need is imported when the command runs, so
that help and errors are fast.
"""
