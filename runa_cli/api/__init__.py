"""The Runa Payouts API: request and response models, the exact bytes and keys of orders, and HTTP.

Also what an answer proves, and whether the same bytes are sent again: both as pure functions. Nothing here loops over
attempts, records an answer or prints.
"""
