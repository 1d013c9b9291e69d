"""Where this system keeps a user's data and caches."""

from collections.abc import Callable
from pathlib import Path

import platformdirs

from runa_cli.core.errors import ConfigurationError


def data_directory() -> Path:
    """Return the directory where this program keeps a user's data. Raises ConfigurationError."""
    return _directory(platformdirs.user_data_path, "XDG_DATA_HOME")


def cache_directory() -> Path:
    """Return the directory where this program keeps what it can fetch again. Raises ConfigurationError."""
    return _directory(platformdirs.user_cache_path, "XDG_CACHE_HOME")


def _directory(of_user: Callable[..., Path], variable: str) -> Path:
    try:
        return of_user("runa", appauthor=False)
    except RuntimeError as error:
        raise ConfigurationError(
            "This user has no home directory.", f"Export HOME, or {variable} with a directory that only you can read."
        ) from error
