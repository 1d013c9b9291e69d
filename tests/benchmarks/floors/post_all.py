"""The smallest loop that posts ready-made bodies in parallel: `post_all.py URL FILE THREADS`, one body a line."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

URL, FILE, THREADS = sys.argv[1], sys.argv[2], int(sys.argv[3])
own = threading.local()


def post(body: bytes) -> int:
    """Post one body over the connection of this thread, and read the answer."""
    if not hasattr(own, "session"):
        own.session = requests.Session()
    answer = own.session.post(URL, data=body, headers={"Content-Type": "application/json"}, timeout=60)
    answer.raise_for_status()
    return len(answer.content)


with ThreadPoolExecutor(THREADS) as pool:
    read = sum(pool.map(post, Path(FILE).read_bytes().splitlines()))
sys.stdout.write(f"{read}\n")
