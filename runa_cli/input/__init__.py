"""From flags and files to a plan: validated gifts in orders, every problem named with its place.

Nothing here sends, records or asks; adding a file format or a column happens here.
"""
