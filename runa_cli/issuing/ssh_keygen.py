"""Runs ssh-keygen, which alone decides about signatures, keys and files of signers."""

import os
import shutil
import subprocess

from runa_cli.core.errors import ConfigurationError

_SECONDS = 30.0  # it reads two short files


def find() -> str | None:
    """Return the path of ssh-keygen; None where it is not installed."""
    return shutil.which("ssh-keygen")


def run(program: str, *arguments: str, content: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run one of its `-Y` commands, with its standard input. Raises ConfigurationError where it cannot be run."""
    try:
        return subprocess.run(
            [program, "-Y", *arguments],
            input=content,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": "/"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"ssh-keygen failed: {error}. Nothing was approved or sent.") from error


def reason(ran: "subprocess.CompletedProcess[bytes]") -> str:
    """Return why it failed, in its words."""
    lines = ran.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else f"ssh-keygen ended with {ran.returncode}"
