"""The name that was most likely meant by a mistyped one."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from runa_cli.app.session import Session

_COMPARED = 500  # the newest batches: to compare a name with all of a long history takes too long
_SIMILAR = 0.6  # of 1: a letter or two of a short name differ


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Ask, after a sentence, whether a known name was meant; empty where none is similar."""
    plain = {one.casefold(): one for one in known}
    similar = get_close_matches(name.casefold(), plain, n=1, cutoff=_SIMILAR)
    return f" Did you mean {plain[similar[0]]}?" if similar else ""


def similar_batch(session: Session, name: str, environments: Sequence[str]) -> str:
    """Ask, after a sentence, whether one of the newest batches was meant; empty where none has a similar name."""
    newest = [name for environment in environments for name in session.ledger.batch_names(environment, _COMPARED)]
    return did_you_mean(name, newest)
