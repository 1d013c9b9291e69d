"""Checks the proxy and CA variables of the environment, which the HTTP library would misread, retry or show.

What a person must correct is reported before anything is sent. Of a proxy's address nothing is shown: it may hold a
password, and a malformed one may hold it anywhere.
"""

import os
import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runa_cli.config.values import is_loopback
from runa_cli.core.masking import mask_keys

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")  # the first that is set is used

_PROXY_VARIABLES = ("https_proxy", "all_proxy", "http_proxy")
_PROXY = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    r"(?:(?P<login>[^/?#\s]*)@)?"
    r"(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]\\]+)"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


def network_problems(url: str, environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield a sentence for each variable of the environment with which no request to a base URL can be made."""
    environ = os.environ if environ is None else environ
    if urlsplit(url).scheme == "https":
        yield from _ca_problems(environ)
    if not is_loopback(urlsplit(url).hostname):  # else no proxy is used
        yield from _proxy_problems(url, environ)


def _ca_problems(environ: Mapping[str, str]) -> Iterator[str]:
    name = next((name for name in CA_VARIABLES if environ.get(name)), None)
    if name is None:
        return
    import ssl  # imported late: it takes long, and few have such a variable

    path = Path(environ[name])
    reason = None
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        reason = "it holds no certificate in PEM format"
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
    if reason is not None:
        yield f"{name} (environment) names {mask_keys(str(path))}, whose certificates cannot be read: {reason}."


def _proxy_problems(url: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each proxy variable that holds no address, unless no proxy is used for this host."""
    proxies = dict(filter(None, (_proxy(name, environ) for name in _PROXY_VARIABLES)))
    if not proxies:
        return
    from requests.utils import should_bypass_proxies  # imported late: it takes as long as a command

    if should_bypass_proxies(url, no_proxy=environ.get("no_proxy") or environ.get("NO_PROXY")):
        return
    used = next((name for name in proxies if name.lower() != "http_proxy"), None)  # the order is the library's
    for name, address in proxies.items():
        if problem := _address_problem(address, used=name == used):
            yield f"{name} (environment) {problem}."


def _is_misread(address: str) -> bool:
    """Tell whether the HTTP library takes the name of a host for a scheme, as in proxy:8080."""
    from requests.utils import prepend_scheme_if_needed
    from urllib3.util import parse_url

    return not parse_url(prepend_scheme_if_needed(address, "http")).host  # type: ignore[no-untyped-call]


def _proxy(name: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return a proxy variable as it is spelled, with its value; the one in lower case is used, even if it is empty."""
    spelled = name if name in environ else next((one for one in environ if one.lower() == name), None)
    return (spelled, environ[spelled]) if spelled is not None and environ[spelled] else None


def _address_problem(address: str, *, used: bool) -> str | None:
    """Return what is wrong with the address of a proxy, as the rest of a sentence; None for one that can be used."""
    found = _PROXY.fullmatch(address)
    scheme = (found["scheme"] or "http").lower() if found else ""
    if found is None or not 0 < int(found["port"] or 80) < 65_536 or not scheme.startswith(("http", "socks")):
        return (
            "is not the address of a proxy, such as http://proxy.example.com:8080. In a password, / is written as %2F,"
            " # as %23, ? as %3F and @ as %40"
        )
    if not found["scheme"] and _is_misread(address):
        return "must begin with http://: without it, what stands before the first colon is not taken for a host"
    if scheme not in {"http", "https"} and used and (find_spec("socks") is None or scheme.startswith("http")):
        return "names a proxy of a kind that cannot be used: it must be an http:// or https:// address"
    try:
        unquote(found["login"] or "").encode("latin-1")
    except UnicodeEncodeError:
        return "holds a user name or password with a character that cannot be sent"
    return None
