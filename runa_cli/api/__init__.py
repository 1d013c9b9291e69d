"""Runa on the wire: request and response models, canonical bytes and keys, transport, and what an answer proves.

One request at a time; nothing here decides to send an order again or records what was answered.
"""
