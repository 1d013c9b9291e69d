"""Write the documents that are made of the code: `python docs/generate.py`."""

from collections.abc import Iterator
from pathlib import Path

from runa_cli.api.classify import CREDENTIAL_TYPES, FINAL_TYPES, credential_hint
from runa_cli.core.error_codes import CODES
from runa_cli.issuing.failures import advice

HEAD = """# Errors

Written by `python docs/generate.py` from `runa_cli/core/error_codes.py`.

An error is a short paragraph on standard error: what happened, why, and what to do next. With `-o json`, `jsonl` or
`gifts` it is one line of JSON, whose `code` is in the tables below:

```json
{"error":{"code":"duplicate","message":"…","hint":"…","exit_code":6,"money":"not_issued","batch":"…","idempotency_key":"…","order_id":"…","request_id":"…","details":null}}
```

`money` says what became of the money, as far as `runa` can know: `issued`, `not_issued`, `unknown` or `partial`. Where
a code has two exits, the exit says whether anything may have been sent.

## Codes

| code | exit | money | meaning | what to do |
|---|---|---|---|---|
"""
RUNAS = """
## Codes of Runa

Where Runa gives a `type`, that is the code. With one of these the order is rejected for good, and nothing was issued
(exit 5).

| code | exit | money | what to do |
|---|---|---|---|
"""
ACCESS = """
These are about the key, its permission, the address or the version. Runa did not look at the order (exit 4; 7 where an
earlier attempt may have arrived).

| code | exit | money | what to do |
|---|---|---|---|
"""


def errors() -> str:
    """Return the page about errors."""
    return "".join([HEAD, *map(_line, _own()), RUNAS, *map(_line, _final()), ACCESS, *map(_line, _access())])


def _own() -> Iterator[tuple[str, ...]]:
    for code, found in sorted(CODES.items(), key=lambda item: item[1].exits[0]):
        yield f"`{code}`", ", ".join(map(str, found.exits)), found.money, found.meaning, found.remedy


def _final() -> Iterator[tuple[str, ...]]:
    for code in sorted(FINAL_TYPES - {*CODES}):
        yield f"`{code}`", "5", "not moved", advice(code)


def _access() -> Iterator[tuple[str, ...]]:
    for code in sorted(CREDENTIAL_TYPES):
        yield f"`{code}`", "4, 7", "not moved by this request", credential_hint(code)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n"


if __name__ == "__main__":
    Path(__file__).with_name("errors.md").write_text(errors(), encoding="utf-8")
