"""The smallest server that takes orders, as a process of its own: `server.py POST_SECONDS SETTLE_SECONDS LIMIT`.

It answers `POST /order` after POST_SECONDS, and the order is completed after SETTLE_SECONDS; where that is 0, it is
completed in the answer. More than LIMIT posts within 60 seconds get a 429; 0 is no limit. It prints its port. `GET
/times` tells when each post arrived, and how many were refused.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

POST_SECONDS, SETTLE_SECONDS, LIMIT = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
WINDOW = 60.0

lock = threading.Lock()
posts: list[float] = []
refused = 0
orders: dict[str, tuple[float, bytes]] = {}


def take() -> bool:
    """Count a post; return False where there were too many."""
    global refused  # noqa: PLW0603 - this process is the server
    with lock:
        now = time.monotonic()
        if LIMIT and sum(now - before < WINDOW for before in posts[-LIMIT:]) >= LIMIT:
            refused += 1
            return False
        posts.append(now)
        return True


def made(order_id: str, request: dict[str, Any], *, completed: bool) -> bytes:
    """Return an order as Runa shows it."""
    order: dict[str, Any] = {
        "id": order_id, "status": "COMPLETED" if completed else "PROCESSING", "created_at": "2099-01-01T00:00:00+00:00",
        "currency": "USD", "total_price": "10.00", "total_discount": "0.00", "metadata": request.get("metadata"),
        "description": request.get("description"),
    }  # fmt: skip
    if completed:
        items: list[dict[str, Any]] = request["items"]
        for slot, item in enumerate(items):
            item["id"], item["price"] = f"{order_id}-{slot}", "10.00"
            item["payout"] = {
                "url": f"https://links.example/{order_id}/{slot}",
                "status": "ACTIVE",
                "expiry_date": None,
            }
        order["items"] = items
    return json.dumps(order).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers over connections that stay open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        """Take an order."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not take():
            self.reply(429, b"{}")
            return
        arrived = time.monotonic()
        order_id = f"O-{len(posts)}-{threading.get_ident():x}"
        request = json.loads(body)
        if SETTLE_SECONDS:
            orders[order_id] = arrived + SETTLE_SECONDS, body
            content = made(order_id, request, completed=False)
        else:
            content = made(order_id, request, completed=True)
        time.sleep(max(0.0, arrived + POST_SECONDS - time.monotonic()))
        self.reply(200, content)

    def do_GET(self) -> None:
        """Show an order, or when posts arrived."""
        if self.path == "/times":
            self.reply(200, json.dumps({"posts": posts, "refused": refused}).encode())
            return
        order_id = self.path.rpartition("/")[2]
        if order_id not in orders:  # the list, in which there is nothing
            self.reply(200, b'{"items": [], "pagination": {"cursors": {"after": null, "before": null}}}')
            return
        ready, body = orders[order_id]
        self.reply(200, made(order_id, json.loads(body), completed=time.monotonic() >= ready))

    def reply(self, status: int, content: bytes) -> None:
        """Send an answer."""
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Listens with room for connections that come at once."""

    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()
