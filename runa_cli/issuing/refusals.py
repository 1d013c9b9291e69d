"""Refusals that are about single gifts of an input, so that a dry run can tell these from the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runa_cli.core.errors import GuardRefused, InputError, RunaError
from runa_cli.core.identity import GiftIdentity

Reasons = Mapping[GiftIdentity, str]  # why each of these gifts is refused, in a few words


@dataclass(eq=False, repr=False)
class GiftsRefused(GuardRefused):
    """A guard refused an input because of these gifts of it."""

    gifts: Reasons = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class GiftsInvalid(InputError):
    """An input cannot be ordered like this because of these gifts of it."""

    gifts: Reasons = field(default_factory=dict)


def reasons(error: RunaError) -> Reasons | None:
    """Return why single gifts are refused; None where the input is refused as a whole."""
    return error.gifts if isinstance(error, GiftsRefused | GiftsInvalid) else None
