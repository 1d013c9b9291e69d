"""A ledger on another machine: used where its server's certificate is verified, and refused where it is not."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runa_cli.config.ledger_address import ServerLedger
from runa_cli.core.errors import LedgerUnusable
from runa_cli.ledger.ledger import Ledger
from tests.conftest import Emulate
from tests.support.certificates import Authority, own_address
from tests.support.cutting_proxy import cutting
from tests.support.postgres import Database, Server
from tests.support.postgres_cluster import give
from tests.support.program import GIFT, Program, posts
from tests.support.system_faults import needs

pytestmark = [needs("openssl"), pytest.mark.file_ledger("it has one of its own")]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return an authority that no system trusts by itself."""
    return Authority(tmp_path / "authority")


@contextmanager
def with_certificate(server: Server, authority: Authority, *names: str) -> Iterator[None]:
    """Let the server speak TLS, with a certificate for these names."""
    settings = {"ssl": "on"}
    for name, path in zip(("ssl_cert_file", "ssl_key_file"), authority.sign(*names), strict=True):
        own = server.cluster.sockets / path.name
        shutil.copy(path, own)
        own.chmod(0o600)
        give(own)
        settings[name] = str(own)
    with server.settings(**settings):
        yield


@pytest.fixture
def remote(postgres: Server, database: Database) -> Iterator[str]:
    """Yield an address of the ledger by which it is on another machine, without parameters."""
    host = own_address()
    if host is None:
        pytest.skip("this machine has no address but loopback ones")
    with cutting((postgres.host, postgres.port), "before", (), host=host) as proxy:
        yield f"postgresql://{postgres.user}:{postgres.password}@{host}:{proxy.port}/{database.name}"


def host_of(address: str) -> str:
    return address.rpartition("@")[2].partition(":")[0]


def refusal(address: str) -> str:
    with pytest.raises(LedgerUnusable) as refused:
        Ledger(ServerLedger(address))
    return refused.value.message


def test_a_server_elsewhere_whose_certificate_is_verified_is_used(
    program: Program, emulate: Emulate, postgres: Server, remote: str, authority: Authority
) -> None:
    emulator = emulate()
    address = f"{remote}?sslmode=verify-full&sslrootcert={authority.certificate}"
    with with_certificate(postgres, authority, f"IP:{host_of(remote)}"):
        assert 0 == (ran := program(*GIFT, RUNA_LEDGER=address)).code, ran.err
        with Ledger(ServerLedger(address)) as ledger:
            rows = ledger._engine.select("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert [{"ssl": True}] == [*rows]
    assert 1 == posts(emulator)


def test_a_certificate_of_an_unknown_authority_is_refused(
    program: Program, emulate: Emulate, postgres: Server, remote: str, authority: Authority
) -> None:
    emulator = emulate()
    other = Authority(program.home / "other")
    address = f"{remote}?sslmode=verify-full&sslrootcert={other.certificate}"
    with with_certificate(postgres, authority, f"IP:{host_of(remote)}"):
        ran = program(*GIFT, "--json", RUNA_LEDGER=address)
    assert (4, "not_issued") == (ran.code, ran.error["money"])
    assert "certificate verify failed" in ran.error["message"]
    assert postgres.password not in ran.err
    assert 0 == posts(emulator)


def test_a_certificate_of_another_server_is_refused(postgres: Server, remote: str, authority: Authority) -> None:
    address = f"{remote}?sslmode=verify-full&sslrootcert={authority.certificate}"
    with with_certificate(postgres, authority, "DNS:db.example.com"):
        assert "does not match host name" in refusal(address)


def test_a_server_elsewhere_that_speaks_no_tls_is_refused(remote: str, authority: Authority) -> None:
    message = refusal(f"{remote}?sslmode=verify-full&sslrootcert={authority.certificate}")
    assert "server does not support SSL" in message


def test_a_server_elsewhere_is_refused_without_verification_though_it_could_be_reached(
    postgres: Server, remote: str, authority: Authority
) -> None:
    with with_certificate(postgres, authority, f"IP:{host_of(remote)}"):
        for mode in ("", "?sslmode=disable", "?sslmode=prefer", "?sslmode=require", "?sslmode=verify-ca"):
            assert "is another machine, and its certificate would not be verified" in refusal(remote + mode)
