"""A policy is read strictly: what is not understood is an error that names its key and line, never no rule."""

from datetime import timedelta
from pathlib import Path

import pytest

from runa_cli.core.errors import ConfigurationError
from runa_cli.issuing.policy import Amount, Policy
from runa_cli.issuing.policy_file import read_policy, read_policy_file

EXAMPLE = """\
version = 1
timezone = "Europe/London"          # calendar windows; default UTC
recipient = "email"                 # or "reference": what counts as one person
[[limit]]
per = "month"                       # order, batch, day, week, month, year, all
max = "5000 USD"
[[limit]]
per = "year"
each = "recipient"
max = "1999.99 USD"
[[limit]]
per = "day"
products = ["VISA*"]
max = "2000 JPY"
[allow]
currencies = ["USD"]
domains = ["Example.com"]
[approval]
above = "1000 USD"
count = 2
signers = "/etc/runa/allowed_signers"
expires = "72h"
"""


def refused(text: str) -> str:
    """Return the message with which a policy is refused."""
    with pytest.raises(ConfigurationError) as caught:
        read_policy(text, "p.toml")
    assert (4, "policy_unusable") == (caught.value.exit_code, caught.value.code)
    return caught.value.message


def limits_of(policy: Policy) -> list[tuple[str, str | None, Amount, tuple[str, ...]]]:
    return [(limit.per, limit.each, limit.max, limit.products) for limit in policy.rules.limit]


def test_every_rule_of_a_policy_is_read() -> None:
    policy = read_policy(EXAMPLE, "p.toml")
    rules, approval = policy.rules, policy.rules.approval
    assert ("Europe/London", "email") == (rules.timezone.key, rules.recipient)
    assert [
        ("month", None, Amount(500_000, "USD"), ()),
        ("year", "recipient", Amount(199_999, "USD"), ()),
        ("day", None, Amount(2000, "JPY"), ("VISA*",)),
    ] == limits_of(policy)
    assert (("USD",), ("example.com",), False) == (
        rules.allow.currencies, rules.allow.domains, rules.allow.allows_links,
    )  # fmt: skip
    assert approval is not None
    assert (Amount(100_000, "USD"), 2, Path("/etc/runa/allowed_signers"), timedelta(hours=72)) == (
        approval.above, approval.count, approval.signers, approval.expires,
    )  # fmt: skip


def test_what_is_left_out_has_a_default() -> None:
    rules = read_policy('version = 1\n[[limit]]\nper = "all"\nmax = "1 USD"', "p.toml").rules
    assert ("UTC", "email", True, None) == (
        rules.timezone.key, rules.recipient, rules.allow.allows_links, rules.approval,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ('max = "5000 USD"', "max = 5000.0", "limit 1, max (line 6) must be text of an amount and its currency"),
        ('max = "5000 USD"', "max = 5000", "limit 1, max (line 6) must be text of an amount and its currency"),
        ('max = "5000 USD"', 'max = "5000"', "found '5000'"),
        ('max = "5000 USD"', 'max = "5,000 USD"', "found '5,000 USD'"),
        ('max = "5000 USD"', 'max = "-5 USD"', "found '-5 USD'"),
        ('max = "5000 USD"', 'max = "5e3 USD"', "found '5e3 USD'"),
        ('max = "5000 USD"', 'max = "\u0665 USD"', "USD'."),
        ('max = "5000 USD"', 'max = "5000 usd"', "found '5000 usd'"),
        ('max = "5000 USD"', 'max = "5000 UDS"', "limit 1, max (line 6) must name a currency by its code"),
        ('max = "5000 USD"', 'max = "0.001 USD"', "has more decimals than USD has"),
        ('"2000 JPY"', '"2000.5 JPY"', "limit 3, max (line 14) has more decimals than JPY has"),
        ('max = "5000 USD"', "", "limit 1, max (line 4) is missing."),
        ('max = "5000 USD"', 'maxx = "5000 USD"', "limit 1, maxx (line 6) is not a key of a policy: did you mean max?"),
        ('per = "day"', 'per = "daily"', "limit 3, per (line 12) must be 'order', 'batch', 'day',"),
        ('each = "recipient"', 'each = "person"', "limit 2, each (line 9) must be 'recipient', found 'person'."),
        ('["VISA*"]', "[]", "limit 3, products (line 13) must be a list of patterns of product codes that is not"),
        ('["VISA*"]', '"VISA*"', "limit 3, products (line 13) must be a list of patterns"),
        ('["VISA*"]', '["VISA-US|VISA-GB"]', "limit 3, products (line 13) must be patterns"),
        ("version = 1", "version = 2", "version (line 1) must be 1, the only version"),
        ("version = 1", "version = true", "version (line 1) must be 1, the only version"),
        ("version = 1", 'version = "1"', "version (line 1) must be 1, the only version"),
        ("version = 1", "", "version is missing."),
        ("Europe/London", "Europe/Lundon", "timezone (line 2) must be the name of a time zone"),
        ("Europe/London", "localtime", "timezone (line 2) must be the name of a time zone"),
        ("Europe/London", "../etc/passwd", "timezone (line 2) must be the name of a time zone"),
        ('"Europe/London"', "0", "timezone (line 2) must be the name of a time zone"),
        ('recipient = "email"', 'recipient = "mail"', "recipient (line 3) must be 'email' or 'reference'"),
        ('[[limit]]\nper = "year"', '[[limits]]\nper = "year"', "limits (line 7) is not a key of a policy: did you"),
        ("[allow]", "[alow]", "alow (line 15) is not a key of a policy: did you mean allow?"),
        ("[allow]", "[rules]", "rules (line 15) is not a key of a policy (these are: version, timezone, recipient,"),
        ("domains", "domain", "allow, domain (line 17) is not a key of a policy: did you mean domains?"),
        ('["Example.com"]', '["fred@example.com"]', "allow, domains (line 17) must be domains such as"),
        ('["Example.com"]', '["*.example.com"]', "allow, domains (line 17) must be domains such as"),
        ('currencies = ["USD"]\ndomains = ["Example.com"]', "", "allow (line 15) lists nothing."),
        ("[approval]", '[approval]\nsigned = "x"', "approval, signed (line 19) is not a key of a policy"),
        ('above = "1000 USD"', "above = 1000", "approval, above (line 19) must be text of an amount"),
        (
            "count = 2",
            "count = 0",
            "approval, count (line 20) must be a whole number from 1 to 100, found the number 0.",
        ),
        ("count = 2", "count = true", "approval, count (line 20) must be a whole number from 1 to 100, found true."),
        ("count = 2", "count = 1.0", "approval, count (line 20) must be a whole number from 1 to 100"),
        ("/etc/runa/allowed", "allowed", "approval, signers (line 21) must be an absolute path"),
        ("/etc/runa/allowed", f"../{'long' * 20}/allowed", f"absolute path, found '../{'long' * 20}/allowed_signers'."),
        ("72h", "72", 'approval, expires (line 22) must be a time such as "72h"'),
        ('per = "month"', "per = month", "is not TOML: Invalid value (at line 5, column 7)."),
        ('per = "month"', 'per = "month"\nper = "day"', "is not TOML: Cannot overwrite a value (at line 6, "),
    ],
)
def test_a_rule_that_is_not_understood_is_named_with_its_line(written: str, instead: str, message: str) -> None:
    assert 1 == EXAMPLE.count(written)
    assert message in refused(EXAMPLE.replace(written, instead))


def test_every_mistake_is_named_at_once_a_line_each_in_the_order_of_the_file() -> None:
    text = EXAMPLE.replace("version = 1", "version = 9").replace('per = "day"', 'per = "days"')
    text = text.replace('max = "1999.99 USD"', 'max = "1999.99"').replace("count = 2", "count = 0\nname = 1")
    heading, *lines = refused(text).splitlines()
    assert "The policy p.toml cannot be used. It has 5 mistakes:" == heading
    assert [
        "  version (line 1)",
        "  limit 2, max (line 10)",
        "  limit 3, per (line 12)",
        "  approval, count (line 20)",
        "  approval, name (line 21)",
    ] == [line.partition(")")[0] + ")" for line in lines]


def test_a_mistake_of_the_whole_file_comes_before_those_of_its_lines() -> None:
    heading, *lines = refused(EXAMPLE.replace("version = 1", "").replace("count = 2", "count = 0")).splitlines()
    assert ["  version is missing.", "  approval, count (line 20)"] == [line[:27] for line in lines]
    assert heading.endswith("It has 2 mistakes:")


@pytest.mark.parametrize("text", ["", "version = 1", 'version = 1\ntimezone = "UTC"'])
def test_a_policy_without_a_rule_is_refused(text: str) -> None:
    """It was meant to be more: a file that was cut off is no policy without limits."""
    assert "p.toml cannot be used" in refused(text)


def test_a_file_that_cannot_be_read_is_no_missing_policy(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xe9\nversion = 1\n")
    for path, reason in [
        (tmp_path / "none.toml", "No such file"),
        (tmp_path, "Is a directory"),
        (latin, "it is not UTF-8 text (byte 3)"),
    ]:
        with pytest.raises(ConfigurationError, match="cannot be read") as caught:
            read_policy_file(path)
        assert reason in caught.value.message


def test_a_byte_order_mark_and_windows_line_ends_make_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.replace("\n", "\r\n").encode())
    assert read_policy(EXAMPLE, "p.toml").rules == read_policy_file(path).rules


def test_approval_is_due_above_its_amount_and_for_any_amount_in_another_currency() -> None:
    approval = read_policy(EXAMPLE, "p.toml").rules.approval
    assert approval is not None
    assert [False, False, True, True] == [
        approval.is_due(sums) for sums in ({}, {"USD": 100_000}, {"USD": 100_001}, {"EUR": 1})
    ]


def test_a_limit_on_products_concerns_whatever_may_turn_into_one_of_them() -> None:
    """The recipient of several products chooses one; what a product template holds is not known."""
    limit = read_policy(EXAMPLE, "p.toml").rules.limit[2]
    assert [True, True, False, True, True] == [
        limit.may_concern(products) for products in ("VISA-US", "AMZ-US|visa-gb", "AMZ-US", "template:PT-1", "")
    ]
