"""Reads signatures of `ssh-keygen -Y sign`, and lets ssh-keygen verify them against a file of allowed signers.

The format is that of OpenSSH's PROTOCOL.sshsig. What is read here only explains a refusal; whether a signature counts
is decided by `ssh-keygen -Y verify` alone.
"""

import base64
import binascii
import hashlib
import struct
import tempfile
from pathlib import Path

from msgspec import Struct

from runa_cli.core.errors import ConfigurationError
from runa_cli.issuing import ssh_keygen
from runa_cli.issuing.signers_file import check_signers, mistakes_in

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_MOST_BYTES = 64 * 1024  # a signature by a certificate has a few thousand


class Signature(Struct, frozen=True):
    """A signature: its text, the namespace it was made for, and the fingerprint of its key as ssh-keygen prints it."""

    text: str
    namespace: str
    key: str


def read_signature(path: Path) -> Signature:
    """Read the file of a signature. Raises ValueError, saying what is wrong, and OSError."""
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    try:
        return parse_signature(content.decode("ascii"))
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None


def parse_signature(text: str) -> Signature:
    """Read the text of a signature. Raises ValueError, saying what is wrong."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(text) > _MOST_BYTES or len(lines) < 3 or (lines[0], lines[-1]) != (_BEGIN, _END):
        raise ValueError(f"it does not begin with {_BEGIN} and end with {_END}")
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
        if blob[:6] != b"SSHSIG":
            raise ValueError("its content is damaged")
        public_key, rest = _string(blob[10:])
        namespace, _ = _string(rest)
    except (binascii.Error, struct.error) as error:
        raise ValueError("its content is damaged") from error
    fingerprint = base64.b64encode(hashlib.sha256(public_key).digest()).decode().rstrip("=")
    return Signature("\n".join(lines) + "\n", namespace.decode("utf-8", "replace"), f"SHA256:{fingerprint}")


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + length:
        raise ValueError("it is cut off")
    return data[4 : 4 + length], data[4 + length :]


class Verified(Struct, frozen=True):
    """Whose signature it is: names in the file of signers. None where it is nobody's, and then why."""

    principals: tuple[str, ...]
    reason: str
    known: bool  # whether the key is in the file of signers
    mistakes: tuple[str, ...] = ()  # in that file, where the key is not in it


def verify(signature: Signature, statement: bytes, signers: Path, namespace: str) -> Verified:
    """Let ssh-keygen verify a signature of a statement. Raises ConfigurationError where that cannot be done."""
    program = ssh_keygen.find()
    if program is None:
        raise ConfigurationError(
            "ssh-keygen is not installed here, and signatures are verified with it. Nothing was approved or sent.",
            "Install OpenSSH's client (Debian: apt-get install openssh-client).",
            code="no_ssh_keygen",
        )
    content = check_signers(signers)
    with tempfile.NamedTemporaryFile("w", prefix="runa-", suffix=".sig") as file:
        file.write(signature.text)
        file.flush()
        found = ssh_keygen.run(program, "find-principals", "-s", file.name, "-f", str(signers))
        text = found.stdout.decode("utf-8", "replace").replace(",", "\n")
        names = [name.strip() for name in text.splitlines()]
        if found.returncode or not any(names):
            return Verified((), ssh_keygen.reason(found), known=False, mistakes=tuple(mistakes_in(content)))
        verified, reason = [], ""
        for name in dict.fromkeys(filter(None, names)):
            options = ("-f", str(signers), "-I", name, "-n", namespace, "-s", file.name)
            ran = ssh_keygen.run(program, "verify", *options, content=statement)
            if ran.returncode:
                reason = ssh_keygen.reason(ran)
            else:
                verified.append(name)
    return Verified(tuple(verified), reason, known=True)
