"""Used by every other package: errors, clock, money, exact JSON, safe text, states.

Imports no other package, and does nothing with orders, files, the network or the terminal.
"""
