"""The program on a pseudo-terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping
from types import MappingProxyType

from tests.support.fork_server import Start, fork_server
from tests.support.program import Program

Variables = Mapping[str, str]
NONE: Variables = MappingProxyType({})


def on_a_terminal(
    program: Program,
    *arguments: str,
    columns: int,
    env: Mapping[str, str] = MappingProxyType({}),
    new_process: bool = False,
) -> str:
    """Run the program on a pseudo-terminal and return what it wrote there. It must succeed."""
    code, written = ended_on_a_terminal(program, *arguments, columns=columns, env=env, new_process=new_process)
    assert 0 == code, written
    return written


def ended_on_a_terminal(
    program: Program,
    *arguments: str,
    columns: int,
    env: Mapping[str, str] = MappingProxyType({}),
    new_process: bool = False,
    typed: str = "",
) -> tuple[int, str]:
    """Run the program on a pseudo-terminal and return its exit code and what it wrote there.

    `typed` is what a person has typed before, for the questions that come.
    """
    master, slave = pty.openpty()
    os.write(master, typed.encode())
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    whole = program.environment(**{"TERM": "xterm", **env})
    if new_process:
        started = subprocess.Popen(
            program.command(*arguments), stdin=slave, stdout=slave, stderr=slave, cwd=program.home,
            env=whole, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        written = _read_all(master)
        return started.wait(), written
    start = Start(arguments, whole, str(program.home), new_session=True)
    running = fork_server().begin(start, program.time, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    written = _read_all(master)
    return running.end().code, written


def _read_all(master: int) -> str:
    written = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the last process that had the terminal open has ended
            break
        if not piece:
            break
        written += piece
    os.close(master)
    return written.decode()
