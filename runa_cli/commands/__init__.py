"""The commands: each declares its flags and delegates."""
