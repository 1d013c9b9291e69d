"""Write the documents that are made of the code: `python docs/generate.py`."""

import re
from collections.abc import Iterator
from pathlib import Path

from runa_cli.api.classify import CREDENTIAL_TYPES, FINAL_TYPES, credential_hint
from runa_cli.config.names import NAMES
from runa_cli.config.values import FORMATS, JSON_FORMATS
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

REFERENCE = """# Reference

Written by `python docs/generate.py` from the code.

## Settings

A flag takes precedence over the environment, that over `./.env` (or the file of `--env-file`), and that over a profile
([accounts.md](accounts.md)). `runa config` shows the value and the origin of each.

| setting | what it is | example |
|---|---|---|
"""
SHAPES = {
    "table": "for people: a summary, and a line for each gift; what does not fit is never cut",
    "json": "one document: what the API answered, an object for one order and else a list",
    "jsonl": "an order a line, written as each settles",
    "gifts": "a JSON object a gift and line, written as its order settles, whatever became of it",
    "csv": "a line a gift, with the columns of the input after those of the results",
    "links": "a payout link a line",
}
OUTPUT = """
## Output formats

`--output` (`-o`), or `RUNA_OUTPUT`. Where errors are JSON, each is one line on standard error.

| format | what is written | errors |
|---|---|---|
"""
EXITS = """
## Exit codes

| exit | codes of errors ([errors.md](errors.md)) |
|---|---|
| 0 | none: done |
"""
# Not in a settings file: a file in some directory must not be able to run a command.
IN_A_PROFILE = {"RUNA_API_KEY_COMMAND": "A command that prints the key; in the environment or in a profile."}


def reference() -> str:
    """Return the page of settings, formats and exit codes."""
    formats = ((f"`{name}`", SHAPES[name], "JSON" if name in JSON_FORMATS else "text") for name in FORMATS)
    exits = sorted({code for found in CODES.values() for code in found.exits})
    codes = ((str(number), ", ".join(f"`{code}`" for code in CODES if number in CODES[code].exits)) for number in exits)
    tables = (map(_line, rows) for rows in (_settings(), formats, codes))
    return "".join(
        part for head, lines in zip((REFERENCE, OUTPUT, EXITS), tables, strict=True) for part in (head, *lines)
    )


def _settings() -> Iterator[tuple[str, ...]]:
    """Yield the settings as the example of a settings file explains them, those together that it explains together."""
    text = (Path(__file__).parent.parent / ".env.example").read_text(encoding="utf-8")
    told = set(IN_A_PROFILE)
    for paragraph in text.split("\n\n"):
        lines = paragraph.splitlines()
        found = [match for line in lines if (match := re.match(r"#?([A-Z][A-Z0-9_]*)=(.*)", line))]
        words = " ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
        if found:
            told |= {match[1] for match in found}
            names, examples = (", ".join(f"`{match[part]}`" for match in found if match[part]) for part in (1, 2))
            yield names, words, examples
    yield from ((f"`{name}`", words, "") for name, words in IN_A_PROFILE.items())
    if missing := {*NAMES} - told:
        raise ValueError(f".env.example does not explain {missing}")


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
    Path(__file__).with_name("reference.md").write_text(reference(), encoding="utf-8")
