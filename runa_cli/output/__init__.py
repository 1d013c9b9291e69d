"""Output: finished data in every format, and the writers of standard output and standard error.

Nothing here makes decisions or moves money.
"""
