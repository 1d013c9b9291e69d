"""The example of docs/approval.md works as it stands there."""

from pathlib import Path

from tests.support.documented import blocks, check_examples, put_on_path
from tests.support.program import Program
from tests.support.signers import Signers


def test_the_example_prints_what_the_document_shows(program: Program, tmp_path: Path) -> None:
    """From the refusal to the link, in one home and in their order."""
    put_on_path(program, tmp_path)
    signers = Signers(program.home)
    signers.allow("bob", "bob@example.com", 'namespaces="runa"')
    (policy,) = blocks("docs/approval.md", "toml")
    signers.policy.write_text(policy.replace("/etc/runa/allowed_signers", str(signers.file)))
    program.env |= {"RUNA_ENV": "local", "RUNA_POLICY": str(signers.policy)}
    check_examples(program, "docs/approval.md")
