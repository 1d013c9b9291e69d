"""A server whose answers come from a script, for answers that the emulator never gives."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

# Method, path, headers and body in; status, headers and body out.
Answer = tuple[int, dict[str, str], bytes]
Script = Callable[[str, str, dict[str, str], Any], Answer]


def as_json(status: int, value: object, **headers: str) -> Answer:
    """Return an answer that holds a JSON document."""
    return status, headers, json.dumps(value).encode()


class ScriptedServer:
    """Serves a script while it is open; remembers what was posted under which key."""

    def __init__(self, script: Script) -> None:
        self.posted: list[tuple[str, Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                document = json.loads(body) if body else None
                if self.command == "POST":
                    server.posted.append((self.headers["X-Idempotency-Key"], document))
                status, headers, content = script(self.command, self.path, dict(self.headers), document)
                self.send_response_only(status)
                for name, value in {"Content-Length": str(len(content)), "Connection": "close", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = True

            do_GET = do_POST = answer  # noqa: N815 - the names of the base class

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "ScriptedServer":
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def completed(key: str, request: Any, **more: Any) -> dict[str, Any]:
    """Return the order that Runa would make of a request."""
    return {
        "id": f"O-{key[:8]}",
        "status": "COMPLETED",
        "created_at": "2099-01-01T00:00:00+00:00",
        "currency": "USD",
        "total_price": "10.00",
        "total_discount": "0.00",
        "items": [
            {
                **item,
                "id": f"E-{slot}",
                "price": "10.00",
                "payout": {"url": f"https://links.example/{key}/{slot}", "status": "ACTIVE", "expiry_date": None},
            }
            for slot, item in enumerate(request["items"])
        ],
        "metadata": request.get("metadata"),
        **more,
    }
