"""Answers of Runa that could not be recorded in the ledger, kept as files until a later run records them there.

Each is a file that only its owner can read, in the user's own data directory: it survives where the ledger's server or
disk fails.
"""

import base64
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from runa_cli.core import exact_json
from runa_cli.core.states import State
from runa_cli.ledger.records import Exchange

_SUFFIX = ".json"


class Answer(NamedTuple):
    """An answer about one order: what `mark_accepted` and its like record. `key` is the order's idempotency key."""

    order_row: int
    key: str
    state: State
    order_id: str | None
    reply: bytes
    issued: Sequence[Mapping[str, Any] | None]
    exchange: Exchange
    time: datetime


class Spool:
    """The directory of such files. One directory may serve several ledgers."""

    def __init__(self, directory: Path | None) -> None:
        """`directory` is made when it is needed; None where nothing can be kept."""
        self._directory = directory

    def keep(self, ledger_id: str, answer: Answer) -> Path | None:
        """Write an answer so that it survives a crash of the machine. Returns None where that is not possible."""
        if self._directory is None:
            return None
        document = {
            "ledger": ledger_id,
            "order_row": answer.order_row,
            "idempotency_key": answer.key,
            "state": str(answer.state),
            "order_id": answer.order_id,
            "reply": base64.b64encode(answer.reply).decode(),
            "issued": [None if item is None else exact_json.dumps(dict(item)) for item in answer.issued],
            "exchange": answer.exchange._asdict(),
            "time": answer.time.isoformat(),
        }
        path = self._directory / f"{secrets.token_hex(8)}{_SUFFIX}"
        try:
            self._write(path, exact_json.dumps(document).encode())
        except OSError:
            return None
        return path

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file that is complete under its name."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def pending(self, ledger_id: str) -> Iterator[tuple[Path, Answer]]:
        """Yield the answers that are kept for a ledger, with their files, the oldest first."""
        if self._directory is None:
            return
        found = []
        with suppress(OSError):
            for path in self._directory.glob(f"*{_SUFFIX}"):
                with suppress(OSError, ValueError, KeyError, TypeError):  # not one of these files
                    document: Any = exact_json.loads(path.read_bytes())
                    if document["ledger"] == ledger_id:
                        found.append((path, _answer(document)))
        yield from sorted(found, key=lambda pair: pair[1].time)


def _answer(document: Mapping[str, Any]) -> Answer:
    issued: list[Any] = [None if item is None else exact_json.loads(item) for item in document["issued"]]
    exchange: dict[str, Any] = dict(document["exchange"])
    for number in ("http_status", "same_errors"):  # as JSON they are numbers of any size
        exchange[number] = None if exchange[number] is None else int(exchange[number])
    return Answer(
        order_row=int(document["order_row"]),
        key=str(document["idempotency_key"]),
        state=State(document["state"]),
        order_id=None if document["order_id"] is None else str(document["order_id"]),
        reply=base64.b64decode(document["reply"]),
        issued=issued,
        exchange=Exchange(**exchange),
        time=datetime.fromisoformat(document["time"]),
    )
