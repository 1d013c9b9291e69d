"""Standard output and standard error: the output formats, tables, progress, and the one writer of each stream.

A new output format is added here. Nothing here sends a request, or decides what is shown beyond how it looks.
"""
