"""Scripted faults: which request is answered wrongly, and how."""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from runa_cli.emulator import delivery
from runa_cli.emulator.account import AS_DOCUMENTED, Script
from runa_cli.emulator.answers import Answer, error, from_application, rate_exceeded

_HTML = {"Content-Type": "text/html"}
_PROBLEM = {"Content-Type": "application/problem+json"}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to one request.

    `asks_account` tells whether the account processes it, and `script` how. `shown` returns an answer that replaces the
    account's, given the port of the server. `deliver` sends the answer; `seconds` is a parameter of it.
    """

    asks_account: bool = True
    script: Script = AS_DOCUMENTED
    shown: Callable[[int], Answer] | None = None
    deliver: delivery.Delivery = delivery.whole
    seconds: float = 0.0


NORMAL = Behaviour()


def _refused(answer: Callable[[int], Answer]) -> Behaviour:
    return Behaviour(asks_account=False, shown=answer)


def _application_error(kind: str) -> Callable[[int], Answer]:
    return lambda _: from_application(error(kind))


def _redirect(port: int) -> Answer:
    # The same server under another host name: if the client follows, the server's list of requests shows it.
    return Answer(307, b"", {"Location": f"http://localhost:{port}/elsewhere/order"})


def _proxys_refusal(_: int) -> Answer:
    """Refuse as something between the client and the API would, which has passed the order on all the same."""
    return Answer(403, b'{"type": "about:blank", "title": "Forbidden", "status": 403}', _PROBLEM)


ORDER_FAULTS: dict[str, Behaviour] = {
    "lost-before": Behaviour(asks_account=False, deliver=delivery.lost),
    "lost-after": Behaviour(deliver=delivery.lost),
    "cut-length": Behaviour(deliver=delivery.cut_by_length),
    "cut-close": Behaviour(deliver=delivery.cut_by_close),
    "unreadable": Behaviour(shown=lambda _: Answer(200, b"<html><body>Welcome</body></html>", _HTML)),
    "102": Behaviour(asks_account=False, deliver=delivery.interim_only),
    "102-then-200": Behaviour(deliver=delivery.interim_first),
    "in-progress": _refused(_application_error("idempotency_in_progress")),
    "429": _refused(lambda _: rate_exceeded()),
    "429-retry-after": _refused(lambda _: rate_exceeded().with_headers(Retry_After="1")),
    "stored-5xx": Behaviour(script=Script(makes_order=False, stores_500=True)),
    "stored-5xx-made": Behaviour(script=Script(stores_500=True)),
    "transient-5xx": _refused(_application_error("internal_server_error")),
    "503-html": _refused(lambda _: Answer(503, b"<html><body>Unavailable</body></html>", _HTML)),
    "proxy-403": Behaviour(shown=_proxys_refusal),
    "slow": Behaviour(deliver=delivery.late, seconds=2.0),
    "dribble": Behaviour(deliver=delivery.dribbled, seconds=0.02),
    "foreign-order": Behaviour(script=Script(foreign=True)),
    "shuffled": Behaviour(script=Script(shuffled=True)),
    "respelled": Behaviour(script=Script(respelled=True)),
    "unmatched": Behaviour(script=Script(unmatched=True)),
    "no-funds": Behaviour(script=Script(funds=False)),
    "failed": Behaviour(script=Script(outcome="FAILED")),
    "failed-bare": Behaviour(script=Script(outcome="FAILED", bare=True)),
    "failed-at-first": Behaviour(script=Script(outcome="FAILED", late=True)),
    "redirect": _refused(_redirect),
}
READ_FAULTS: dict[str, Behaviour] = {
    "get-500": _refused(_application_error("internal_server_error")),
    "get-429": _refused(lambda _: rate_exceeded()),
    "get-lost": Behaviour(asks_account=False, deliver=delivery.lost),
    "get-404": _refused(_application_error("not_found")),
    "get-failed": Behaviour(script=Script(outcome="FAILED")),
}
_TIMED = frozenset({"slow", "dribble"})
_SPEC = re.compile(
    r"(?P<name>clock\+(?P<days>\d{1,6})|[a-z0-9-]+?)(:(?P<seconds>\d+(\.\d+)?))?"
    r"(@((?P<always>\*)|(?P<first>[1-9]\d*)(-(?P<last>[1-9]\d*))?))?"
)


@dataclass(slots=True)
class _Scripted:
    """One fault of the script, for which requests it is, and whether it has occurred."""

    spec: str
    name: str
    first: int
    last: int | None
    behaviour: Behaviour = NORMAL
    ahead: timedelta = field(default_factory=timedelta)
    hit: bool = False

    def covers(self, number: int) -> bool:
        return self.first <= number and (self.last is None or number <= self.last)


class Faults:
    """Counts requests, from 1, and decides how each is treated. Threads may share it.

    A fault is `NAME@N`, `NAME@N-M` or `NAME@*`; without a number it is for the first request. `slow:5` and
    `dribble:0.1` set seconds. Where several are for the same request, the first of the script is used. Raises
    ValueError for an unknown fault.
    """

    def __init__(self, specs: Sequence[str] = ()) -> None:
        self._scripted = [_parse(spec) for spec in specs]
        self._lock = threading.Lock()
        self._orders = self._reads = 0
        self._ahead = timedelta(0)

    @property
    def ahead(self) -> timedelta:
        """How far the emulator's clock is ahead of the real one."""
        return self._ahead

    @property
    def unhit(self) -> list[str]:
        """The faults, as they were written, that have not occurred."""
        return [fault.spec for fault in self._scripted if not fault.hit]

    def next_order(self) -> Behaviour:
        """Count one POST /order and return how to treat it."""
        with self._lock:
            self._orders += 1
            for fault in self._scripted:
                if fault.ahead and not fault.hit and fault.first <= self._orders:
                    fault.hit = True
                    self._ahead += fault.ahead
            return self._treatment(ORDER_FAULTS, self._orders)

    def next_read(self) -> Behaviour:
        """Count one GET /order/{id} and return how to treat it."""
        with self._lock:
            self._reads += 1
            return self._treatment(READ_FAULTS, self._reads)

    def _treatment(self, kinds: dict[str, Behaviour], number: int) -> Behaviour:
        for fault in self._scripted:
            if fault.name in kinds and fault.covers(number):
                fault.hit = True
                return fault.behaviour
        return NORMAL


def _parse(spec: str) -> _Scripted:
    found = _SPEC.fullmatch(spec)
    if found is None:
        raise _unknown(spec)
    name, days = found["name"], found["days"]
    first = int(found["first"] or 1)
    last = None if found["always"] else int(found["last"] or first)
    if last is not None and last < first:
        raise _unknown(spec)
    if days is not None and found["seconds"] is None:
        return _Scripted(spec, name, first, last, ahead=timedelta(days=int(days)))
    behaviour = (ORDER_FAULTS | READ_FAULTS).get(name)
    if behaviour is None or (found["seconds"] is not None and name not in _TIMED):
        raise _unknown(spec)
    return _Scripted(spec, name, first, last, _timed(name, behaviour, found["seconds"]))


def _timed(name: str, behaviour: Behaviour, seconds: str | None) -> Behaviour:
    if seconds is not None:
        behaviour = replace(behaviour, seconds=float(seconds))
    if name == "slow":
        # Until a slow answer is sent, another request with its key is answered that the first is in progress.
        return replace(behaviour, script=Script(answer_after=timedelta(seconds=behaviour.seconds)))
    return behaviour


def _unknown(spec: str) -> ValueError:
    names = ", ".join([*ORDER_FAULTS, *READ_FAULTS, "clock+DAYS"])
    return ValueError(f"{spec!r} is no fault; write NAME, NAME@N, NAME@N-M or NAME@* with one of: {names}")
