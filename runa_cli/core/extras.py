"""Libraries that are installed only where their extra is asked for."""

from runa_cli.core.errors import ConfigurationError


def missing_for_xlsx(purpose: str, library: str, otherwise: str) -> ConfigurationError:
    """Return the error for a library of the extra `excel` that is not installed; `otherwise` is another way out.

    It is no usage mistake: the same command is right where the extra is installed.
    """
    return ConfigurationError(
        f"{purpose} needs the library {library}, which is not installed. Nothing was sent.",
        f"Install it with `pip install 'runa-cli[excel]'` (in a clone `pip install '.[excel]'`), or {otherwise}.",
        code="no_xlsx",
    )
