"""Checks the file of those who may approve: who may write it, and whether each of its lines names a signer.

ssh-keygen passes over a line that it does not understand. So that nobody finds that out after a colleague has signed,
every line is checked before a batch is proposed.
"""

import base64
import binascii
import os
import re
import stat
import tempfile
from pathlib import Path

from runa_cli.core.errors import ConfigurationError
from runa_cli.core.safe_text import printable
from runa_cli.issuing import ssh_keygen

_NAME = re.compile(rb'[ \t]*("[^"]*"|[^ \t"]+)(?=[ \t]|$)')  # of the signer, as ssh-keygen reads it
_MOST_MISTAKES = 10  # enough to see what kind of file it is
_HINT = (
    "The policy names it as `signers` in [approval], and nothing is approved or sent without it. See `man ssh-keygen`,"
    " ALLOWED SIGNERS."
)


def check_signers(signers: Path) -> bytes:
    """Return what is in the file of signers, if not everybody may change that. Raises ConfigurationError."""
    try:
        with signers.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read()
    except OSError as error:
        raise _unusable(signers, f"cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(mode):
        raise _unusable(signers, "is no file.")
    if may_be_written_by_others(mode):
        raise _unusable(
            signers, "can be changed by others than its owner.", f"Let only its owner write it: chmod go-w. {_HINT}"
        )
    return content


def may_be_written_by_others(mode: int) -> bool:
    """Tell whether the group of a file or everybody may write it."""
    return bool(mode & (stat.S_IWGRP | stat.S_IWOTH))


def check_each_line(signers: Path) -> None:
    """Check the file of signers line by line, before anybody signs. Raises ConfigurationError."""
    content = check_signers(signers)
    if mistakes := mistakes_in(content):
        listed = [f"has {len(mistakes)} mistakes:", *(f"{each}." for each in mistakes)]
        raise _unusable(signers, "\n  ".join(listed) if len(mistakes) > 1 else f"has a mistake: {mistakes[0]}.")
    if not any(_is_entry(line) for line in content.splitlines()):
        raise _unusable(signers, "names nobody.")


def _unusable(signers: Path, what: str, hint: str = _HINT) -> ConfigurationError:
    return ConfigurationError(
        f"The file of allowed signers {printable(str(signers))} {what}", hint, code="signers_unusable"
    )


def mistakes_in(content: bytes) -> list[str]:
    """Return what is wrong in a file of signers, line by line. What ssh-keygen says where it is installed decides."""
    mistakes: dict[int, str] = {}
    lines = content.splitlines()
    for number, line in enumerate(lines, 1):
        name = _NAME.match(line)
        if not _is_entry(line):
            lines[number - 1] = b""
        elif _is_public_key(line) or name is None:
            mistakes[number] = f"line {number} needs a name before the {'key' if name else 'options'}"
            lines[number - 1] = b""
        else:
            lines[number - 1] = b"x" + line[name.end() :]  # one name for all, by which it looks at every line
    program = ssh_keygen.find()
    while program and len(mistakes) < _MOST_MISTAKES and (found := _first_mistake(program, lines)):
        number, reason = found
        mistakes[number] = f"line {number} cannot be read by ssh-keygen: {reason}"
        lines[number - 1] = b""
    return [mistakes[number] for number in sorted(mistakes)][:_MOST_MISTAKES]


def _is_entry(line: bytes) -> bool:
    return bool(line.strip()) and not line.strip().startswith(b"#")


def _is_public_key(line: bytes) -> bool:
    """Tell whether a line is one of a public key: its kind, and a key that begins with the same kind."""
    kind, *rest = line.split()
    try:
        return bool(rest) and base64.b64decode(rest[0], validate=True)[4:].startswith(kind)
    except binascii.Error:
        return False


def _first_mistake(program: str, lines: list[bytes]) -> tuple[int, str] | None:
    """Return the number of the first line that ssh-keygen cannot read, and why; None where it can read all of them."""
    with tempfile.NamedTemporaryFile(prefix="runa-", suffix=".signers") as file:
        file.write(b"\n".join(lines) + b"\n")
        file.flush()
        ran = ssh_keygen.run(program, "match-principals", "-I", "x", "-f", file.name)
        # One that is older than OpenSSH 8.9 knows no match-principals, and says something else.
        told = re.search(re.escape(file.name) + r":([0-9]+): (.*)", ran.stderr.decode("utf-8", "replace"))
    if not told or not ran.returncode or not lines[int(told[1]) - 1]:
        return None
    return int(told[1]), told[2].strip().rstrip(".")
