"""Records for ledgers that no program has written."""

from runa_cli.ledger.records import Gift, NewBatch, NewOrder


def gift(row: int, batch: int) -> Gift:
    """Return the gift of a row; no other row or batch has the same one."""
    return Gift(row, f"R{row}", [], f"i{batch}-{row}", f"s{batch}-{row}", f"r{batch}-{row}", "{}", f"a{batch}-{row}")


def order(batch: int, position: int = 1, generation: int = 0, gifts: int = 2) -> NewOrder:
    """Return an order of a batch."""
    return NewOrder(
        position=position, generation=generation, idempotency_key=f"key {batch} {position} {generation}", own_key=False,
        body=b"{}", body_sha256="", mode="async", currency="USD", total="10.00", item_count=gifts, account="xxtests",
        gifts=[gift(row, batch) for row in range(1, gifts + 1)],
    )  # fmt: skip


def new_batch(number: int) -> NewBatch:
    """Return a batch by its number."""
    return NewBatch(
        environment="local", name=f"batch {number}", named=True, source="file", shape="list", fingerprint=f"f{number}",
        account="xxtests", columns=[],
    )  # fmt: skip
