"""What every other package may use, and that knows none of them: errors, time, money, exact JSON, safe text, states.

Nothing here knows about orders, files, the network or the terminal.
"""
