"""Makes sure that the driver for PostgreSQL is installed, which is an extra and imported only for a ledger there."""

from runa_cli.core.errors import ConfigurationError


def require_driver() -> None:
    """Raise ConfigurationError where psycopg, or the libpq that it needs, is not installed."""
    try:
        import psycopg  # noqa: F401 - what imports it next may rely on it
    except ImportError as missing:
        raise ConfigurationError(
            "RUNA_LEDGER names a PostgreSQL server, and psycopg cannot be used here:"
            f" {str(missing).splitlines()[0]}. Nothing was sent.",
            "Install the extra: `pip install 'runa-cli[postgres]'`, in a clone `pip install '.[postgres]'`.",
        ) from missing
