"""People with keys who sign, and the policy and the file of signers that say who may approve."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.support.program import Program


@dataclass
class Signers:
    """A directory with keys, a file of allowed signers and a policy."""

    directory: Path
    allowed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def with_bob(cls, program: Program, directory: Path) -> Self:
        """Return bob, who may approve above 25 USD by the policy that is in force for the program."""
        directory.mkdir()
        made = cls(directory)
        made.allow("bob", "bob@example.com")
        made.set_policy()
        program.env["RUNA_POLICY"] = str(made.policy)
        return made

    @property
    def file(self) -> Path:
        """The file of allowed signers."""
        return self.directory / "allowed_signers"

    @property
    def policy(self) -> Path:
        """The policy."""
        return self.directory / "policy.toml"

    def key(self, name: str) -> Path:
        """Return the private key of a person, a new one for a new name."""
        path = self.directory / f"{name}.key"
        if not path.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
            subprocess.run(command, check=True, capture_output=True)
        return path

    def allow(self, key: str, principal: str | None = None, options: str = "") -> None:
        """Let the key of a person approve, under another name where one is given."""
        public = self.key(key).with_suffix(".key.pub").read_text().rpartition(" ")[0]
        self.allowed[key] = f"{principal or key}{f' {options}' if options else ''} {public}"
        self.file.write_text("".join(f"{line}\n" for line in self.allowed.values()))
        self.file.chmod(0o644)

    def forbid(self, key: str) -> None:
        """Take the key of a person out of the file."""
        del self.allowed[key]
        self.file.write_text("".join(f"{line}\n" for line in self.allowed.values()))

    def set_policy(self, above: str = "25 USD", *, count: int = 1, expires: str = "72h") -> None:
        """Write the policy."""
        self.policy.write_text(
            f'version = 1\n[approval]\nabove = "{above}"\ncount = {count}\n'
            f'signers = "{self.file}"\nexpires = "{expires}"\n'
        )

    def sign(self, key: str, statement: str, *, namespace: str = "runa") -> Path:
        """Sign a statement as a person does, and return the file of the signature."""
        path = self.directory / f"statement-{os.urandom(4).hex()}.txt"
        path.write_text(statement)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.key(key)), str(path)]
        subprocess.run(command, check=True, capture_output=True)
        return path.with_suffix(".txt.sig")
