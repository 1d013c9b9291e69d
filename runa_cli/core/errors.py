"""The errors of the program, as one tree.

Each class has an exit code and a default `code` for programs. Each error says in `money` whether money moved::

    RunaError                    1   a defect in the program
    ├── UsageMistake             2   wrong usage; nothing was sent
    ├── InputError               3   the input breaks a rule; nothing was sent
    ├── ConfigurationError       4   a setting, the key or the ledger cannot be used; no money moved
    │   ├── LedgerUnusable       4   the ledger cannot be opened, read or written
    │   └── CredentialRefused    4   Runa does not accept the key, its permission or the API version
    ├── RequestRefused           5   Runa refused a request that moves no money
    ├── OrderRefused             5   Runa rejected an order for good; nothing was issued
    ├── OrderFailed              5   Runa reports an order as FAILED; no money moved, as far as Runa says
    ├── GuardRefused             6   a check of this program refused; nothing was sent
    ├── Unreachable              7   no usable answer to a request that moves no money
    ├── OutcomeUnknown           7   an order is unfinished or its outcome unknown; run the same command again
    ├── PartlyDone               8   some orders of a batch are issued, others are not
    ├── OutputFailed             9   issued and recorded, but the result could not be written
    ├── DifferencesFound        10   an audit found differences; it changed nothing
    ├── BatchBusy               75   another process works on the batch; this one sent nothing
    └── Interrupted            130   stopped by a person or the system; the state is saved
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, NamedTuple


class Money(StrEnum):
    """Whether money moved, as far as this program can know."""

    ISSUED = "issued"
    NOT_ISSUED = "not_issued"
    UNKNOWN = "unknown"
    PARTIAL = "partial"


class Context(NamedTuple):
    """The batch, order and request that an error is about; None where there is none."""

    batch: str | None = None
    idempotency_key: str | None = None
    order_id: str | None = None
    request_id: str | None = None


@dataclass(eq=False, repr=False)
class RunaError(Exception):
    """An error for people: `message` says what happened and to what, `hint` what to do next. Its default is a defect.

    `details` lists the single mistakes with their places. `code` identifies the error for programs.
    """

    message: str
    hint: str | None = None
    context: Context = field(default_factory=Context)
    details: Sequence[Mapping[str, object]] | None = None
    code: str = ""
    money: Money = Money.NOT_ISSUED

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "defect"

    def __post_init__(self) -> None:
        """Make the message the text of the exception, and fill in the default code."""
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
    """Flags contradict each other, or a flag has a value that it does not allow. Nothing was sent."""

    exit_code = 2
    default_code = "usage"


class InputError(RunaError):
    """The input breaks a rule. `details` lists each mistake with its place. Nothing was sent."""

    exit_code = 3
    default_code = "invalid_input"


class ConfigurationError(RunaError):
    """A setting is missing, cannot be read or contradicts another. No money moved."""

    exit_code = 4
    default_code = "configuration"


class LedgerUnusable(ConfigurationError):
    """The ledger cannot be opened, read or written. Without a ledger nothing is sent."""

    default_code = "ledger_unusable"


class CredentialRefused(ConfigurationError):
    """Runa does not accept the key, its permission, the URL or the API version. The code is Runa's `type`.

    Runa checks these before it looks at an order, so this request issued nothing.
    """

    default_code = "credential_refused"


class RequestRefused(RunaError):
    """Runa refused a request that moves no money. The code is Runa's `type`."""

    exit_code = 5
    default_code = "refused"


class OrderRefused(RunaError):
    """Runa rejected an order for good: nothing was issued. The code is Runa's `type`."""

    exit_code = 5
    default_code = "order_refused"


class OrderFailed(RunaError):
    """Runa reports the order as FAILED, without a reason. No money moved, as far as Runa says."""

    exit_code = 5
    default_code = "order_failed"


class GuardRefused(RunaError):
    """A check of this program refused: duplicate, cap, confirmation, changed batch, funds. The code says which.

    Nothing was sent.
    """

    exit_code = 6
    default_code = "guard_refused"


class Unreachable(RunaError):
    """No usable answer came to a request that moves no money."""

    exit_code = 7
    default_code = "unreachable"


class OutcomeUnknown(RunaError):
    """An order may have been issued, or is unfinished. The same command, run again, continues with what is recorded."""

    exit_code = 7
    default_code = "unfinished"


class PartlyDone(RunaError):
    """Some orders of the batch are issued, others are not. Money moved for those that are."""

    exit_code = 8
    default_code = "partly_done"


class OutputFailed(RunaError):
    """Orders are issued and recorded, but the result could not be written where the user wanted it."""

    exit_code = 9
    default_code = "output_failed"


class DifferencesFound(RunaError):
    """An audit found what is not as it was recorded, or differs from Runa's orders. It changes nothing."""

    exit_code = 10
    default_code = "differences"


class BatchBusy(RunaError):
    """Another process works on the batch. This one sent nothing."""

    exit_code = 75
    default_code = "batch_busy"


class Interrupted(RunaError):
    """A person or the system stopped the program. The state is saved; the message says whether money moved."""

    exit_code = 130
    default_code = "interrupted"
