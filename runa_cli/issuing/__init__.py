"""Issuing: checks what is new, records it, and takes each recorded order to where it is settled.

The only package that sends orders. Nothing here parses input or writes to standard output.
"""
