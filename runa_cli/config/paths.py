"""The directories of the user's configuration, data and caches on this system."""

from collections.abc import Callable
from pathlib import Path

import platformdirs

from runa_cli.core.errors import ConfigurationError


def data_directory() -> Path:
    """Return the directory for the user's data: the ledger and the emulator's account. Raises ConfigurationError."""
    return _directory(platformdirs.user_data_path, "XDG_DATA_HOME")


def state_directory() -> Path:
    """Return the directory for what the program notes for itself: the ledgers' marks. Raises ConfigurationError."""
    return _directory(platformdirs.user_state_path, "XDG_STATE_HOME")


def config_directory() -> Path:
    """Return the directory of the user's configuration. Raises ConfigurationError."""
    return _directory(platformdirs.user_config_path, "XDG_CONFIG_HOME")


def cache_directory() -> Path:
    """Return the directory for files that can be fetched again. Raises ConfigurationError."""
    return _directory(platformdirs.user_cache_path, "XDG_CACHE_HOME")


def _directory(locate: Callable[..., Path], variable: str) -> Path:
    try:
        return locate("runa", appauthor=False)
    except RuntimeError as error:
        raise ConfigurationError(
            "This user has no home directory.", f"Export HOME, or {variable} with a directory that only you can read."
        ) from error
