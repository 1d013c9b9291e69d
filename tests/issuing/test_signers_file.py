"""A file of signers is checked line by line before anybody signs."""

from pathlib import Path

import pytest

from runa_cli.core.errors import ConfigurationError
from runa_cli.issuing.signers_file import check_each_line
from tests.support.signers import Signers


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a public key as its file has it: its kind and the key, and a comment."""
    return Signers(tmp_path_factory.mktemp("keys")).key("bob").with_suffix(".key.pub").read_text().strip()


def refused(path: Path, content: str) -> str:
    """Return the message with which a file of signers is refused."""
    path.write_text(content)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError) as caught:
        check_each_line(path)
    assert (4, "signers_unusable") == (caught.value.exit_code, caught.value.code)
    return caught.value.message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("KEY", "line 2 needs a name before the key."),
        ('namespaces="runa" KEY', "line 2 needs a name before the options."),
        ("bob", "line 2 cannot be read by ssh-keygen: missing key."),
        ("bob ssh-ed25519 AAAAgarbage", "line 2 cannot be read by ssh-keygen: invalid key."),
        ("bob namespaces=runa KEY", "line 2 cannot be read by ssh-keygen: bad options: missing start quote."),
        ("bob namespace KEY", "line 2 cannot be read by ssh-keygen: bad options: unknown key option."),
    ],
)
def test_a_line_that_names_no_signer_is_told(tmp_path: Path, key: str, line: str, message: str) -> None:
    content = f"# who may approve\n{line.replace('KEY', key)}\ncarol {key}\n"
    path = tmp_path / "signers"
    assert f"The file of allowed signers {path} has a mistake: {message}" == refused(path, content)


def test_every_mistake_has_a_line_of_its_own(tmp_path: Path, key: str) -> None:
    told = refused(tmp_path / "signers", f"carol ssh-ed25519 garbage\n\n{key}\nbob x\n").splitlines()
    assert told[0].endswith(" has 3 mistakes:")
    assert ["  line 1", "  line 3", "  line 4"] == [line[:8] for line in told[1:]]


def test_every_form_of_a_line_is_accepted(tmp_path: Path, key: str) -> None:
    path = tmp_path / "signers"
    path.write_text(
        f'bob {key}\n\n# nobody\n  "Bob Smith,eve@example.com" namespaces="runa,a b",valid-after="20200101" {key}\n'
        f"!mallory,*@example.com\t{key}\r\nca cert-authority {key}"
    )
    path.chmod(0o644)
    check_each_line(path)


def test_a_file_that_names_nobody_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "signers", "# later\n").endswith("names nobody.")


def test_without_ssh_keygen_a_bare_key_is_still_told(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "line 1 needs a name before the key." in refused(tmp_path / "signers", f"{key}\nbob x\n")


def test_a_path_is_shown_whole(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 20)
    directory.mkdir()
    assert str(directory / "signers\\n") in refused(directory / "signers\n", "")
