"""Keeps the names that the completion scripts offer: of batches, and the codes of products.

The scripts complete without starting this program, so they read files of the user's cache directory: one for each
environment and kind, a name a line, a code with the name of its product after a tab. The file `names-environment`
names the environment that was used last. To keep them is never worth an error.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from runa_cli.app.session import Session
from runa_cli.config import paths
from runa_cli.config.values import ENVIRONMENTS
from runa_cli.core.errors import RunaError
from runa_cli.output.private_file import private_file

MOST_BATCHES = 500  # the newest ones; a shell has to read them at every press of Tab


def keep_batches(session: Session) -> None:
    """Keep the names of the newest batches of the active environment; nothing where no ledger is open."""
    with suppress(RunaError):
        if session.opened_ledger is not None:
            _keep(session, "batches", session.opened_ledger.batch_names(session.environment, MOST_BATCHES))


def keep_products(session: Session, products: Iterable[Mapping[str, Any]]) -> None:
    """Keep the codes of a catalogue that was just fetched; of a subscription those of its plans, which are ordered."""
    _keep(session, "products", (line for entry in products for line in _codes(entry)))


def _codes(entry: Mapping[str, Any]) -> Iterable[str]:
    from runa_cli.api import catalogue, responses  # late: they load pydantic, which batches need none of

    with suppress(responses.Unreadable):
        product = responses.parse(catalogue.Product, entry)
        for code in catalogue.plan_codes(product) or [product.code]:
            yield f"{code}\t{product.name}" if product.name.isprintable() else code


def _keep(session: Session, kind: str, lines: Iterable[str]) -> None:
    if session.environment not in ENVIRONMENTS:
        return
    # What would look like another name, or break the line, is left out: a shell shows it as it is.
    texts = [line for line in lines if line.replace("\t", "", 1 if kind == "products" else 0).isprintable()]
    with suppress(OSError, RunaError, ValueError):
        directory = paths.cache_directory()
        for name, content in (
            (f"names-{kind}-{session.environment}", "".join(f"{text}\n" for text in texts)),
            ("names-environment", f"{session.environment}\n"),
        ):
            path, data = directory / name, content.encode()
            if path.is_file() and path.read_bytes() == data:
                continue
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with private_file(path, lasting=False) as stream:
                stream.write(data)
