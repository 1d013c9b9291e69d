"""Everything that can go wrong, as one tree.

Each class fixes a stable code (for programs), an exit code (for shells) and what became of the money (for people)::

    RunaError
    ├── UsageMistake             2   flags that do not go together
    ├── InputError               3   the input breaks a rule; nothing was sent
    ├── ConfigurationError       4   a setting, the key or the ledger cannot be used
    │   ├── LedgerUnusable           … the journal cannot be read or written
    │   └── CredentialRefused        … Runa does not accept the key, its permission or the version
    ├── RequestRefused           5   Runa said no to a question that moves no money
    ├── OrderRefused             5   Runa's final answer to an order was no
    ├── OrderFailed              5   Runa made the order and reports it FAILED
    ├── GuardRefused             6   a safeguard of this program said no
    ├── Unreachable              7   no usable answer to a question that moves no money
    ├── OutcomeUnknown           7   an order is unfinished; run the same command again
    ├── PartlyDone               8   some orders of a batch are issued, others are not
    ├── OutputFailed             9   the result could not be written
    ├── BatchBusy               75   another process works on the batch
    └── Interrupted            130   stopped by a person or the system
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar


class Money(StrEnum):
    """What became of the money, as far as this program can know."""

    ISSUED = "issued"
    NOT_ISSUED = "not_issued"
    UNKNOWN = "unknown"
    PARTIAL = "partial"


@dataclass(frozen=True)
class Context:
    """Which batch, order and exchange an error is about; None where there is none."""

    batch: str | None = None
    idempotency_key: str | None = None
    order_id: str | None = None
    request_id: str | None = None


@dataclass
class RunaError(Exception):
    """Something a person has to know: what happened, about which thing, and what to do next."""

    message: str
    hint: str | None = None
    context: Context = field(default_factory=Context)
    details: Sequence[Mapping[str, object]] | None = None
    code: str = ""
    money: Money = Money.NOT_ISSUED

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "defect"

    def __post_init__(self) -> None:
        """Keep the exception's own text the message."""
        super().__init__(self.message)
        self.code = self.code or self.default_code

    def __str__(self) -> str:
        return self.message

    def as_dict(self) -> dict[str, object]:
        """Return the error as the object that `--json` prints."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
                "exit_code": self.exit_code,
                "money": str(self.money),
                "batch": self.context.batch,
                "idempotency_key": self.context.idempotency_key,
                "order_id": self.context.order_id,
                "request_id": self.context.request_id,
                "details": None if self.details is None else [dict(detail) for detail in self.details],
            }
        }


class UsageMistake(RunaError):
    """Flags that do not go together, or a value no flag takes."""

    exit_code = 2
    default_code = "usage"


class InputError(RunaError):
    """The input breaks a rule. `details` names each mistake with its place."""

    exit_code = 3
    default_code = "invalid_input"


class ConfigurationError(RunaError):
    """A setting is missing, unreadable or contradicts another."""

    exit_code = 4
    default_code = "configuration"


class LedgerUnusable(ConfigurationError):
    """The ledger cannot be opened, read or written."""

    default_code = "ledger_unusable"


class CredentialRefused(ConfigurationError):
    """Runa does not accept the key, its permission, the address or the version. The code is Runa's `type`."""

    default_code = "credential_refused"


class RequestRefused(RunaError):
    """Runa said no to a question that moves no money. The code is Runa's `type`."""

    exit_code = 5
    default_code = "refused"


class OrderRefused(RunaError):
    """Runa's final answer to an order was no: nothing was issued. The code is Runa's `type`."""

    exit_code = 5
    default_code = "order_refused"


class OrderFailed(RunaError):
    """Runa made the order and reports it FAILED; it documents no reason."""

    exit_code = 5
    default_code = "order_failed"


class GuardRefused(RunaError):
    """A safeguard refused: duplicate, cap, confirmation, changed batch, funds. The code says which."""

    exit_code = 6
    default_code = "guard_refused"


class Unreachable(RunaError):
    """No usable answer to a question that moves no money."""

    exit_code = 7
    default_code = "unreachable"


class OutcomeUnknown(RunaError):
    """An order may have been issued, or is still on its way; the ledger knows how to go on."""

    exit_code = 7
    default_code = "unfinished"


class PartlyDone(RunaError):
    """Some orders of the batch are issued, others are not."""

    exit_code = 8
    default_code = "partly_done"


class OutputFailed(RunaError):
    """The result is recorded but could not be written where it was asked for."""

    exit_code = 9
    default_code = "output_failed"


class BatchBusy(RunaError):
    """Another process works on the batch."""

    exit_code = 75
    default_code = "batch_busy"


class Interrupted(RunaError):
    """Stopped from outside; the state is saved."""

    exit_code = 130
    default_code = "interrupted"
