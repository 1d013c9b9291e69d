"""The files and the processes of a PostgreSQL server: made, started, stopped in any way, copied to a standby, gone."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

NOT_INSTALLED = "PostgreSQL is not installed (Debian: apt-get install postgresql postgresql-common pgbouncer)"
MEMORY = Path("/dev/shm")  # a server of the tests need not outlive the machine, and a disk takes its time to be sure
_ENOUGH = 2 << 30  # bytes of it, for a few servers at a time
_CONNECTIONS = 60  # at a time; a killed program's stay for a moment
_ACCESS = "".join(
    f"{who} scram-sha-256\n" for who in ("local all all", "host all all samehost", "host replication all samehost")
)
_REMOVE = 'cat; "$@"; rm -rf "$0"'  # what a shell does once the other end of its standard input is closed
_SETTINGS = {
    "listen_addresses": "localhost",
    "max_connections": str(_CONNECTIONS),
    "shared_buffers": "32MB",
    "fsync": "on",
    "timezone": "UTC",
    "lc_messages": "C",
    "max_wal_senders": "4",
}


class Failed(Exception):
    """What a program of the server said when it failed."""


@cache
def programs() -> Path | None:
    """Return where the server's programs are: `POSTGRES_BIN`, or the newest version that Debian has installed."""
    if given := os.environ.get("POSTGRES_BIN"):
        return Path(given)
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), key=lambda path: int(path.parent.name), default=None)


def free_port() -> int:
    """Return a port of this machine that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass(frozen=True)
class Cluster:
    """The files of one server, in `data`, and its port. Its socket is in `sockets`."""

    data: Path
    port: int

    @property
    def sockets(self) -> Path:
        """The directory of its socket."""
        return self.data.parent

    def make(self, user: str, password: str) -> None:
        """Make an empty one."""
        secret = self.data.parent / "password"
        secret.write_text(password)
        give(secret)
        _run("initdb", "-D", self.data, "-U", user, f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8",
             "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        secret.unlink()
        self._configure(_SETTINGS)

    def copy_from(self, source: str) -> None:
        """Make it a standby of a running server, by the latter's connection string."""
        _run("pg_basebackup", "-D", self.data, "-d", source, "-R", "-c", "fast", "-X", "stream", "--no-sync")
        self._configure({})

    def _configure(self, settings: Mapping[str, str]) -> None:
        own = {**settings, "port": str(self.port), "unix_socket_directories": str(self.sockets)}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in own.items())
        (self.data / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        _run("pg_ctl", "-D", self.data, "-w", "-l", self.data / "log", "start")

    def stop(self, mode: Literal["fast", "immediate"] = "immediate") -> None:
        """Stop it: `immediate` as a power cut would, but for what the system has not written yet."""
        _run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def promote(self) -> None:
        """Make a standby a server of its own, with what it has received so far."""
        _run("pg_ctl", "-D", self.data, "-w", "promote")


@contextmanager
def directory(parent: Path | None = None) -> Iterator[Path]:
    """Make a directory for a cluster; by default in memory, where there is enough.

    It is gone with this process, however that ends, and so is a server that runs in it.
    """
    if parent is None and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > _ENOUGH:
        parent = MEMORY
    made = Path(tempfile.mkdtemp(prefix="runa-pg-", dir=parent))
    give(made)
    stop = _command("pg_ctl", "-D", made / "data", "-w", "-m", "immediate", "stop")
    with subprocess.Popen(
        ["sh", "-c", _REMOVE, str(made), *stop], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
    ) as remover:  # fmt: skip
        assert remover.stdin is not None
        try:
            yield made
        finally:
            remover.stdin.close()


def give(path: Path) -> None:
    """Give a file to the user under whom the server runs, which refuses to be root."""
    if os.getuid() == 0:
        shutil.chown(path, "postgres")


def _command(program: str, *arguments: str | Path) -> list[str]:
    found = programs()
    assert found, NOT_INSTALLED
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    return [*as_user, str(found / program), *map(str, arguments)]


def _run(program: str, *arguments: str | Path) -> None:
    with tempfile.TemporaryFile("w+") as said:  # a pipe would stay open as long as the server
        ran = subprocess.run(
            _command(program, *arguments), check=False, cwd="/", stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        said.seek(0)
        if ran.returncode:
            raise Failed(f"{program}: {said.read().strip()}")
