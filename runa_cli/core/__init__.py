"""What every other package may use: errors, order states, time, money, exact JSON, text that is safe to show.

Nothing here imports another package of this program, or knows files, the network or the terminal.
"""
