"""Which process works on a batch: a lock of the operating system, released when its process ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runa_cli.core.errors import BatchBusy
from runa_cli.ledger.engine import unusable


class ClaimLost(BatchBusy):
    """The claim of this process on a batch has ended, so that it may decide nothing more about the batch."""

    default_code = "claim_lost"


class Claims:
    """The claims on the batches of one ledger. A process claims a batch by locking the batch's byte of a file.

    Unlike a recorded process id, such a lock needs no clean-up after a crash, and no guess whether the process with
    that id is still the same one.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._path = ledger.with_name(ledger.name + "-claims")
        self._handle: int | None = None

    def take(self, batch_id: int) -> bool:
        """Claim a batch for this process. Returns False while another process has it. Raises LedgerUnusable."""
        with self._errors_name_ledger():
            if self._handle is None:
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, batch_id)
            except (BlockingIOError, PermissionError):  # POSIX leaves the choice between the two to the system
                return False
            return True

    def release(self, batch_id: int) -> None:
        """Release the claim on a batch. Raises LedgerUnusable."""
        if self._handle is not None:
            with self._errors_name_ledger():
                fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, batch_id)

    def holder(self, batch_id: int) -> str:  # noqa: ARG002 - as `Leases`
        """Return who has a batch; empty where that is not known: the system tells only that it is locked."""
        return ""

    def check(self, batch_id: int) -> None:
        """Check that a batch is still claimed: a lock of this process cannot end before it does."""

    def check_time(self, batch_id: int) -> None:
        """Check that the claim lasts long enough to start something, as it always does."""

    def before_close(self) -> None:
        """Do nothing before the database is closed: the locks are kept until it is."""

    def close(self) -> None:
        """Release every claim of this process."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @contextmanager
    def _errors_name_ledger(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unusable(self._ledger, error.strerror or str(error)) from error
