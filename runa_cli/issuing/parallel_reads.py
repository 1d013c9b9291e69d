"""Fetches orders from Runa several at a time, and hands them out one after the other."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from runa_cli.core.clock import SIGNAL_CHECK_SECONDS

READERS = 8  # orders that are fetched at a time

T = TypeVar("T")


def read_each(order_ids: Iterable[str], read: Callable[[str], T]) -> Iterator[T]:
    """Yield what `read` returns for each order id, in their sequence; it is called in threads. Raises what it raises.

    Where the caller stops early, or `read` raises, no further order is asked for.
    """
    pool = ThreadPoolExecutor(READERS)
    answers = deque(pool.submit(read, order_id) for order_id in order_ids)
    try:
        while answers:
            answer = answers.popleft()
            while not answer.done():  # the system may hand a signal to another thread, which would not end a wait
                wait([answer], timeout=SIGNAL_CHECK_SECONDS)
            yield answer.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
