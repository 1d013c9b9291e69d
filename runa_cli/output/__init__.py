"""Standard output and standard error: formats as functions of finished data, and the one writer of each stream.

Nothing here decides anything or moves money.
"""
