"""An authority of the tests' own, and certificates for servers that it signs."""

import socket
import subprocess
from pathlib import Path


class Authority:
    """An authority, in a directory: `certificate` is what a client trusts."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.certificate = directory / "ca.pem"
        _openssl("req", "-x509", *_NEW_KEY, directory / "ca.key", "-out", self.certificate, "-subj", "/CN=tests")

    def sign(self, *names: str) -> tuple[Path, Path]:
        """Return a certificate for a server by these names (`DNS:…`, `IP:…`), and its key."""
        certificate, key = self._directory / "server.pem", self._directory / "server.key"
        request, extensions = self._directory / "server.csr", self._directory / "server.ext"
        extensions.write_text(f"subjectAltName={','.join(names)}\n")
        _openssl("req", *_NEW_KEY, key, "-out", request, "-subj", "/CN=server")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._directory / "ca.key",
                 "-CAcreateserial", "-extfile", extensions, "-out", certificate)  # fmt: skip
        return certificate, key


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def own_address() -> str | None:
    """Return an address of this machine that is not a loopback one; None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("198.51.100.1", 9))  # sends nothing
        except OSError:
            return None
        address: str = asking.getsockname()[0]
    return None if address.startswith("127.") else address
