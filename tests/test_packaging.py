"""The package installs clean from its wheel and its source archive, with pip, pipx and uv, and works then.

It is built and installed by the tools themselves, which fetch what it depends on. `PACKAGING=required` (which `.ci/run`
sets) makes it a failure that one of them is missing; else the test is skipped.
"""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from runa_cli import __version__

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[1]
SHARED = {
    "share/man/man1/runa.1": "docs/man/runa.1",
    "share/bash-completion/completions/runa.bash": "completions/runa.bash",
    "share/zsh/site-functions/_runa": "completions/_runa",
    "share/fish/vendor_completions.d/runa.fish": "completions/runa.fish",
}
LONGEST = 600  # seconds: an installation fetches a dozen packages
GIFT = ("order", "create", "--env", "local", "--face-value", "10", "--email", "fred@example.com", "--product", "AMZ-US")
VERSIONS = ("3.11", "3.12", "3.13", "3.14")


def run(*command: str | Path, **env: str) -> str:
    """Run a command, which must succeed, and return what it wrote."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RUNA_", "VIRTUAL_ENV"))}
    ended = subprocess.run(
        [*map(str, command)], capture_output=True, encoding="utf-8", env=environment | env, timeout=LONGEST, check=False
    )
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def tool(name: str) -> Path:
    """Return a tool of the environment that runs the tests, or skip the test."""
    found = Path(sys.executable).with_name(name)
    if not found.exists() and os.environ.get("PACKAGING") != "required":
        pytest.skip(f"{name} is not installed: pip install -e '.[packaging]'")
    return found


def python(version: str) -> str:
    """Return an interpreter of a version, or skip the test."""
    own = (f"{sys.version_info[0]}.{sys.version_info[1]}", sys.executable)
    kept = (Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions").glob(f"{version}.*/bin/python")
    for candidate in (dict([own]).get(version), *kept, shutil.which(f"python{version}")):
        if candidate and Path(candidate).exists():
            asked = subprocess.run([candidate, "-c", "import ensurepip, sqlite3"], capture_output=True, check=False)
            if asked.returncode == 0:
                return str(candidate)
    pytest.skip(f"there is no Python {version}")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both archives from what is under version control, and return their directory."""
    base = tmp_path_factory.mktemp("packaging")
    for name in tracked():
        (base / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, base / "source" / name)
    said = run(tool("pyproject-build"), "--outdir", base / "dist", base / "source")
    assert not re.search("[Dd]eprecat|[A-Za-z]Warning", said), said
    return base / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def source(built: Path) -> Path:
    (found,) = built.glob("*.tar.gz")
    return found


def tracked() -> list[str]:
    """Return the files of the project that are there and under version control, or about to be."""
    listed = run("git", "-C", PROJECT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return [name for name in listed if (PROJECT / name).exists()]


def works(runa: Path, home: Path) -> None:
    """Make sure that an installed program issues a gift."""
    home.mkdir()
    assert f"runa {__version__}\n" == run(runa, "--version", HOME=str(home))
    assert "fred@example.com" in run(runa, *GIFT, HOME=str(home))


def installed_files(prefix: Path) -> Iterator[tuple[str, str]]:
    """Yield the files beside the program, each with that of the project which it is."""
    for path, origin in SHARED.items():
        assert (prefix / path).exists(), path
        yield (prefix / path).read_text(encoding="utf-8"), (PROJECT / origin).read_text(encoding="utf-8")


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_has_the_whole_package_and_what_shells_and_man_read(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    data = f"runa_cli-{__version__}.data/data"
    assert {
        *(name for name in tracked() if name.startswith("runa_cli/")),
        *(f"{data}/{path}" for path in SHARED),
    } == names
    assert "runa_cli/py.typed" in names


def test_the_source_archive_has_what_its_tests_need(source: Path) -> None:
    with tarfile.open(source) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    left_out = (".ci/", ".gitignore", ".pre-commit-config.yaml")
    assert {name for name in tracked() if not name.startswith(left_out)} - names == set()
    assert not any("__pycache__" in name for name in names)


def test_the_metadata_says_what_it_is(wheel: Path) -> None:
    said = metadata(wheel)
    assert ("runa-cli", __version__, ">=3.11") == (said["Name"], said["Version"], said["Requires-Python"])
    assert "text/markdown" == said["Description-Content-Type"]
    assert said["Summary"]
    assert said["Keywords"]
    versions = {f"Programming Language :: Python :: {version}" for version in VERSIONS[:3]}
    assert versions <= set(said.get_all("Classifier", []))
    assert {"excel", "postgres"} <= set(said.get_all("Provides-Extra", []))


@pytest.mark.parametrize("version", VERSIONS)
def test_pip_installs_the_wheel_on_every_python(wheel: Path, version: str, tmp_path: Path) -> None:
    run(python(version), "-m", "venv", tmp_path / "env")
    said = run(tmp_path / "env/bin/pip", "install", "--quiet", f"{wheel}[excel]")
    assert "error" not in said.lower()
    assert "No broken requirements found.\n" == run(tmp_path / "env/bin/pip", "check")
    works(tmp_path / "env/bin/runa", tmp_path / "home")
    for there, origin in installed_files(tmp_path / "env"):
        assert origin == there


def test_pip_installs_the_source_archive_and_takes_everything_away_again(source: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "env")
    run(tmp_path / "env/bin/pip", "install", "--quiet", str(source))
    works(tmp_path / "env/bin/runa", tmp_path / "home")
    run(tmp_path / "env/bin/pip", "uninstall", "--yes", "runa-cli")
    assert [] == [path for path in (tmp_path / "env").rglob("*runa*") if path.is_file()]


def test_pipx_installs_the_program_and_its_man_page(wheel: Path, tmp_path: Path) -> None:
    places = {"PIPX_HOME": "home", "PIPX_BIN_DIR": "bin", "PIPX_MAN_DIR": "man", "PIPX_DEFAULT_PYTHON": ""}
    env = {name: str(tmp_path / place) for name, place in places.items()} | {"PIPX_DEFAULT_PYTHON": sys.executable}
    run(tool("pipx"), "install", f"{wheel}", **env)
    works(tmp_path / "bin/runa", tmp_path / "user")
    page = (PROJECT / SHARED["share/man/man1/runa.1"]).read_text(encoding="utf-8")
    assert page == (tmp_path / "man/man1/runa.1").read_text(encoding="utf-8")


def test_uv_installs_the_program(wheel: Path, tmp_path: Path) -> None:
    env = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    env |= {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
    # What pip is told by its own variables, uv is told by others.
    for theirs, ours in (("PIP_FIND_LINKS", "UV_FIND_LINKS"), ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
                         ("PIP_EXTRA_INDEX_URL", "UV_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):  # fmt: skip
        if value := os.environ.get(theirs):
            env[ours] = value
    run(tool("uv"), "tool", "install", "--quiet", "--python", sys.executable, str(wheel), **env)
    works(tmp_path / "bin/runa", tmp_path / "user")
    for there, origin in installed_files(tmp_path / "tools/runa-cli"):
        assert origin == there
