"""The Runa API: request and response models, the bytes and keys of orders, transport, and what an answer proves.

Nothing here sends an order a second time by itself, or records an answer.
"""
