"""Who works on a batch: a lock that the system lets go of when its process ends, however it ends."""

import fcntl
import os
from pathlib import Path


class Claims:
    """One byte of a file for each batch; whoever has locked the byte works on the batch.

    A lock of the system needs no clean-up and no guess whether a process id still means the same process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self, batch_id: int) -> bool:
        """Claim a batch for this process. Returns False while another process has it. Raises OSError."""
        if self._handle is None:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, batch_id)
        except (BlockingIOError, PermissionError):  # POSIX leaves the choice between the two to the system
            return False
        return True

    def release(self, batch_id: int) -> None:
        """Let a batch go."""
        if self._handle is not None:
            fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, batch_id)

    def close(self) -> None:
        """Let every batch go."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
