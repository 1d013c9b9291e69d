"""Reads a policy from its text: strictly, for what is not understood would be no rule.

Every mistake is named with its key and its line.
"""

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ValidationError

from runa_cli.config.dotenv_file import read_failure
from runa_cli.core.errors import ConfigurationError
from runa_cli.core.typos import one_typo
from runa_cli.issuing.policy import Allowed, Approval, Limit, Policy, Rules
from runa_cli.issuing.policy_values import described
from runa_cli.issuing.signers_file import may_be_written_by_others

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_HEADER = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_-]+)\s*\]")
_KEY = re.compile(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*[=.]")
_TABLES: dict[str, type[BaseModel]] = {"limit": Limit, "allow": Allowed, "approval": Approval}
HOW_TO_CHECK = "`runa policy check FILE` checks one."
_HINT = f"Nothing is sent without the policy that is meant. {HOW_TO_CHECK}"

Place = tuple[int | str, ...]  # the path of a value in the file, positions in lists from 0


def read_policy_file(path: Path) -> Policy:
    """Return the policy of a file. Raises ConfigurationError, never for less than the whole file."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(f"The policy {path} cannot be read: {read_failure(error)}.") from error
    policy = read_policy(text, str(path))
    if policy.rules.approval and may_be_written_by_others(mode):  # who could take the need for approval out of it
        raise ConfigurationError(
            f"The policy {path} asks for approvals, and can be changed by others than its owner.",
            "Let only its owner write it: chmod go-w.",
            code="policy_unusable",
        )
    return policy


def read_policy(text: str, source: str) -> Policy:
    """Return the policy of a text. Raises ConfigurationError, which names each mistake with its key and line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(f"The policy {source} is not TOML: {error}.") from error
    try:
        rules = Rules.model_validate(document)
    except ValidationError as error:
        found = sorted((_mistake(text, each) for each in error.errors(include_url=False)), key=lambda each: each.line)
        raise _with_mistakes(source, found) from error
    return Policy(rules, source, text, hashlib.sha256(text.encode()).hexdigest())


def _unreadable(message: str) -> ConfigurationError:
    return ConfigurationError(message, _HINT, code="policy_unusable")


class _Mistake(NamedTuple):
    line: int  # 0 where the whole file is meant
    key: str
    sentence: str


def _with_mistakes(source: str, found: Sequence[_Mistake]) -> ConfigurationError:
    """Return the error for a policy with mistakes: a line for each where there are several, as in a list of gifts."""
    if len(found) == 1:
        error = _unreadable(f"The policy {source} cannot be used: {found[0].sentence}")
    else:
        lines = [
            f"The policy {source} cannot be used. It has {len(found)} mistakes:",
            *(each.sentence for each in found),
        ]
        error = _unreadable("\n  ".join(lines))
    error.details = [{"line": each.line or None, "key": each.key, "message": each.sentence} for each in found]
    return error


def _mistake(text: str, error: "ErrorDetails") -> _Mistake:
    """Return one mistake, with a sentence about it."""
    loc: Place = tuple(error["loc"])
    line = _line_of(text, loc)
    where = _name(loc) + (f" (line {line})" if line else "")
    return _Mistake(line or 0, _name(loc), _sentence(where, loc, error))


def _sentence(where: str, loc: Place, error: "ErrorDetails") -> str:
    match error["type"]:
        case "extra_forbidden":
            return f"{where} is not a key of a policy{_suggestion(loc)}"
        case "missing":
            return f"{where} is missing."
        case "value_error":
            return f"{where or 'it'} {error['ctx']['error']}."
        case "literal_error":
            return f"{where} must be {error['ctx']['expected']}, found {described(error['input'])}."
        case "model_type" | "model_attributes_type":
            return f"{where} must be a table, found {described(error['input'])}."
    return f"{where}: {error['msg']}, found {described(error['input'])}."


def _name(loc: Place) -> str:
    """Return the name of a place, as in `limit 2, max`; limits are counted from 1."""
    parts: list[str] = []
    for part in loc:
        if isinstance(part, int):
            parts[-1] += f" {part + 1}"
        else:
            parts.append(part)
    return ", ".join(parts)


def _suggestion(loc: Place) -> str:
    *tables, name = (part for part in loc if isinstance(part, str))
    table = _TABLES.get(tables[0], Rules) if tables else Rules
    known = table.model_fields
    meant = next((each for each in known if one_typo(each, name.casefold()) or each == name.casefold()), None)
    meant = meant or next((each for each in known if f"{each}s" == name), None)
    return f": did you mean {meant}?" if meant else f" (these are: {', '.join(known)})."


def _line_of(text: str, loc: Place) -> int | None:
    """Return the line of a value, or of the table that lacks it; None where it cannot be told."""
    table = next((part for part in loc[:1] if part in _TABLES), None)
    number = next((part for part in loc[1:2] if isinstance(part, int)), 0)
    keys = [part for part in (loc[1:] if table else loc) if isinstance(part, str)]
    return next(_lines(text.splitlines(), table, number, keys), None)


def _lines(lines: Sequence[str], table: int | str | None, number: int, keys: Sequence[str]) -> Iterator[int]:
    """Yield the line of a key in the table of that name and number, and after it that of the table's header."""
    current: tuple[str | None, int] = (None, 0)
    counts: dict[str, int] = {}
    header: int | None = None
    for line, content in enumerate(lines, 1):
        if found := _HEADER.match(content):
            name = found[1]
            current = (name, counts.get(name, 0))
            counts[name] = counts.get(name, 0) + 1
            if header is None and (current == (table, number) or (keys == [name] and table is None)):
                header = line
        elif current == (table, number) and keys and (key := _KEY.match(content)) and key[1] == keys[0]:
            yield line
    if header:
        yield header
