"""Asks for known vulnerabilities in what the program stands on, and proves first that one would be noticed.

`python .ci/audit.py DIRECTORY` audits the packages installed there, with PyPI's advisories or those of the OSV server
that AUDIT_OSV_URL names. Exit 1: there is one, or the proof failed. Where nobody answers it says that nothing was
audited; with AUDIT=required that is exit 1 too.
"""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

PLANTED = {"id": "PLANTED-1", "summary": "made up", "affected": [], "aliases": []}
NOT_OURS = {"runa-cli", "pip", "setuptools"}  # the program itself, and what any environment begins with


class Planted(BaseHTTPRequestHandler):
    """An OSV server that knows one vulnerability, in requests."""

    def do_POST(self) -> None:
        """Answer one query."""
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = {"vulns": [PLANTED]} if query["package"]["name"] == "requests" else {}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def audited(directory: str, osv_url: str | None) -> tuple[list[str], list[str]]:
    """Return what is vulnerable in a directory, and what nobody knew anything about."""
    service = ["--vulnerability-service", "osv", "--osv-url", osv_url] if osv_url else []
    command = [sys.executable, "-m", "pip_audit", "--path", directory, "--format", "json", "--progress-spinner", "off"]
    ran = subprocess.run([*command, *service], capture_output=True, text=True, check=False)
    if not ran.stdout:
        return [], [ran.stderr.strip().rpartition("\n")[2]]
    packages: list[dict[str, Any]] = [
        package for package in json.loads(ran.stdout)["dependencies"] if package["name"] not in NOT_OURS
    ]
    found = [f"{each['name']} {each['version']}: {vuln['id']}" for each in packages for vuln in each.get("vulns", ())]
    return found, [each["name"] for each in packages if "skip_reason" in each]


def main() -> int:
    """Prove the check, make it, and return the exit code."""
    directory = sys.argv[1]
    with HTTPServer(("127.0.0.1", 0), Planted) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        planted, _ = audited(directory, f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    if len(planted) != 1 or not planted[0].startswith("requests "):
        sys.stderr.write(f"Audit: a planted vulnerability was not noticed, only {planted}.\n")
        return 1
    found, unknown = audited(directory, os.environ.get("AUDIT_OSV_URL"))
    sys.stderr.writelines(f"Audit: {each}\n" for each in found)
    if unknown:
        sys.stderr.write(f"Audit: NOT AUDITED, for no advisories could be had: {', '.join(unknown)}.\n")
    elif not found:
        sys.stderr.write("Audit: no vulnerability is known.\n")
    return 1 if found or (unknown and os.environ.get("AUDIT") == "required") else 0


if __name__ == "__main__":
    sys.exit(main())
