"""Money: what is new, what may be sent, and each order from its record to where it settles.

The only package that sends orders. Nothing here reads files or writes to standard output.
"""
