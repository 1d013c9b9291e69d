"""What a command works with: settings, ledger, client, standard output and standard error.

Ledger, client and the embedded emulator are opened where they are first used. Their modules are imported there too:
they load the libraries for HTTP, validation and databases, which take longer than most commands need.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runa_cli.config import paths, sources
from runa_cli.config import settings as configuration
from runa_cli.config.ledger_address import LedgerAddress, ServerLedger
from runa_cli.config.settings import Settings
from runa_cli.config.values import AUTO, JSON_FORMATS, LOG_FORMATS
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import ConfigurationError, UsageMistake
from runa_cli.core.masking import shown
from runa_cli.output.console import Console
from runa_cli.output.stdout import Output

if TYPE_CHECKING:
    from runa_cli.api.client import Client, Endpoint
    from runa_cli.issuing.approval import ApprovalGuard
    from runa_cli.issuing.balances import Balances
    from runa_cli.issuing.concurrency import Concurrency
    from runa_cli.issuing.issuer import Issuer
    from runa_cli.issuing.policy import Policy
    from runa_cli.issuing.policy_guard import PolicyGuard
    from runa_cli.issuing.rate_limit import RateLimit
    from runa_cli.issuing.terms import Progress
    from runa_cli.ledger.ledger import Ledger

LOCAL_KEY = "xxlocal.emulator"  # the emulator asks for a key as Runa does; this one is valid nowhere else


class CommonOptions(NamedTuple):
    """What every command takes; `clock` is None for the real one."""

    env: str | None = None
    profile: str | None = None
    env_file: Path | None = None
    output: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    log_format: str | None = None
    no_color: bool = False
    clock: Clock | None = None


class Session:
    """One run of a command. A context manager: what it opened is closed with it."""

    def __init__(self, options: CommonOptions, flags: Mapping[str, object]) -> None:
        """Read the settings; `flags` are those given on the command line, by the names of their variables."""
        self.clock = options.clock or REAL
        if options.json and options.output not in {None, "json"}:
            raise UsageMistake(f"--json and --output {options.output} contradict each other.")
        if options.log_format is not None and options.log_format not in LOG_FORMATS:
            raise UsageMistake(f"--log-format must be {' or '.join(LOG_FORMATS)}, found {shown(options.log_format)}.")
        flags = {
            "RUNA_ENV": options.env,
            "RUNA_PROFILE": options.profile,
            "RUNA_OUTPUT": "json" if options.json else options.output,
            **flags,
        }
        self.settings: Settings = configuration.load(flags, env_file=options.env_file)
        no_color = options.no_color or self.settings.no_color.value
        self.output = Output(self.settings.output.value, no_color=no_color)
        self.console = Console(
            quiet=options.quiet,
            as_json=self.output.format in JSON_FORMATS,
            verbose=options.verbose,
            no_color=no_color,
        )
        if options.verbose:
            self.console.log(as_json=options.log_format == "json")
        self._stack = ExitStack()
        self._ledger: Ledger | None = None
        self._client: Client | None = None
        self._balances: Balances | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> str:
        """The environment; empty where none is set, which `checked` refuses."""
        return self.settings.environment.value or ""

    def checked(self) -> Settings:
        """Return the settings if a request can be made with them. Raises ConfigurationError."""
        configuration.check(self.settings)
        if url := configuration.request_url(self.settings):
            configuration.check_network(url)
        for warning in configuration.warnings(self.settings):
            self.console.warn(warning)
        return self.settings

    @property
    def ledger(self) -> "Ledger":
        """The open ledger. Raises LedgerUnusable, and ConfigurationError where a setting cannot be read."""
        if self._ledger is None:
            configuration.check_readable(self.settings)  # the ledger that is meant may be another one
            marks = self._marks()
            if marks is None:
                self.console.warn(
                    "This user has no home directory, so it will not be noticed if an older copy of the ledger takes"
                    " its place."
                )
            self._ledger = self._stack.enter_context(self.open_ledger(self.settings.ledger.value))
            self._announce(self._ledger)
        return self._ledger

    @property
    def opened_ledger(self) -> "Ledger | None":
        """The ledger where this run has opened it."""
        return self._ledger

    def open_to_check(self) -> "Ledger":
        """Return the ledger, open even if it may lack orders. Raises LedgerUnusable, and ConfigurationError."""
        configuration.check_readable(self.settings)
        self._ledger = self._stack.enter_context(self.open_ledger(self.settings.ledger.value, to_check=True))
        return self._ledger

    @property
    def ledger_is_broken(self) -> bool:
        """Whether the file of the ledger was one, and is none any more."""
        from runa_cli.ledger import sqlite_file

        address = self.settings.ledger.value
        return isinstance(address, Path) and sqlite_file.is_broken(address, self._marks())

    def check_open(self) -> None:
        """Check that the ledger lacks no orders of the account in use, so that more may be issued.

        Raises LedgerUnusable.
        """
        from runa_cli.ledger.orders import closed

        if self.ledger.is_closed(self.environment, self.settings.account):
            raise closed(self.ledger.path, self.environment)

    def open_ledger(self, address: LedgerAddress, *, to_check: bool = False) -> "Ledger":
        """Return the ledger at an address, open. Raises LedgerUnusable."""
        from runa_cli.ledger.ledger import Ledger

        patience = self.settings.timeout.value
        return Ledger(
            address,
            marks=self._marks(),
            warn=self.console.warn,
            say=self.console.note,
            patience=patience,
            spool=self._spool(),
            clock=self.clock,
            to_check=to_check,
        )

    def _marks(self) -> Path | None:
        """Return the directory of the ledgers' high-water marks; None for a user without a home directory."""
        try:
            return paths.state_directory()  # apart from the ledger, which may be restored with its directory
        except ConfigurationError:
            return None

    def _spool(self) -> Path | None:
        """Return the directory for replies that the ledger cannot take; None for a user without a home directory."""
        try:
            return paths.data_directory() / "replies"
        except ConfigurationError:
            return None

    def _announce(self, ledger: "Ledger") -> None:
        if ledger.is_new:
            self.console.note(f"New ledger: {ledger.path}")
        if ledger.replaced is not None:
            self.console.note(
                f"The ledger that was used here before is gone, with its orders up to number {ledger.replaced.orders}."
                " What was issued under a batch name is looked for at Runa; other orders are not known any more, until"
                " `runa ledger check --read-back` reads all of them back."
            )
        if ledger.is_closed(self.environment, self.settings.account):
            self.console.warn(
                f"This ledger lacks orders that were issued in {self.environment}: `runa ledger check` reads them back."
            )

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger, so that opening it makes no new one. True where that cannot be told."""
        address = self.settings.ledger.value
        if isinstance(address, ServerLedger):
            return True
        try:
            address.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # opening it names the reason
        return True

    @property
    def existing_ledger(self) -> "Ledger | None":
        """The open ledger; None where there is none, so that none is made. Raises what `ledger` raises."""
        return self.ledger if self.has_ledger else None

    @property
    def client(self) -> "Client":
        """The client of Runa; for `local`, of the emulator, which is started now. Raises ConfigurationError."""
        if self._client is None:
            from runa_cli.api.client import Client

            settings = self.checked()
            url = configuration.request_url(settings) or self._start_emulator()
            self._client = Client(self.endpoint(url), self.clock)
        return self._client

    @property
    def balances(self) -> "Balances":
        """What was fetched of the account's balances. Raises ConfigurationError."""
        if self._balances is None:
            from runa_cli.issuing.balances import Balances

            self._balances = Balances(self.client, self.clock)
        return self._balances

    def endpoint(self, url: str) -> "Endpoint":
        """Return the base URL, key and version that requests use."""
        from runa_cli.api.client import Endpoint

        key = self.settings.api_key.value
        local = self.environment == "local"
        return Endpoint(url, LOCAL_KEY if local or key is None else key.value, self.settings.api_version.value)

    def _start_emulator(self) -> str:
        from runa_cli.emulator.server import DEFAULT_PORT, Emulator  # imported late: it takes as long as a command

        with emulator_data() as path:
            # It ends with the command; its links open while `runa emulator serve` runs.
            return self._stack.enter_context(Emulator(path, links=f"http://127.0.0.1:{DEFAULT_PORT}")).url

    def issuer(self, *, wait: bool = True, progress: "Progress | None" = None) -> "Issuer":
        """Return the issuer of this session; `wait` is whether it waits for accepted orders to settle."""
        from runa_cli.api.retry import LOCAL, REMOTE
        from runa_cli.issuing.balances import BalanceNotes
        from runa_cli.issuing.issuer import Issuer
        from runa_cli.issuing.terms import Terms

        settings, local = self.settings, self.environment == "local"
        self.check_open()
        return Issuer(
            ledger=self.ledger,
            client=self.client,
            terms=Terms(timeout=settings.timeout.value, wait=wait, pace=LOCAL if local else REMOTE),
            progress=progress or self.progress(),
            say=self.console.say,
            warn=self.console.warn,
            account=settings.account,
            payer=settings.payer,
            balances=BalanceNotes(self.balances, self.ledger, settings.account, self.environment, self.clock),
            ask=self.ask,
            concurrency=self._concurrency(),
            rate_limit=self._rate_limit(),
            clock=self.clock,
            own_policy=self.own_policy,
            environment=self.environment,
        )

    @property
    def own_policy(self) -> "Policy | None":
        """The policy of the settings; None where they name none. Raises ConfigurationError for an unusable one."""
        configuration.check_readable(self.settings)
        path = self.settings.policy.value
        if path is None:
            return None
        from runa_cli.issuing.policy_file import read_policy_file

        try:
            return read_policy_file(path)
        except ConfigurationError as error:
            error.hint = f"RUNA_POLICY ({self.settings.policy.origin}) names it. {error.hint}"
            raise

    def policy_guard(self) -> "PolicyGuard":
        """Return what holds gifts to the policies in force. Raises what `own_policy` and `existing_ledger` raise."""
        from runa_cli.issuing.policy_guard import PolicyGuard

        return PolicyGuard(self.existing_ledger, self.environment, self.clock, self.own_policy)

    def approval_guard(self, policy: "PolicyGuard | None" = None) -> "ApprovalGuard":
        """Return what refuses batches that are not approved, as the issuer of this session has it.

        `policy` knows the policies in force where one is at hand: reading their file again could find another one.
        """
        from runa_cli.issuing.approval import ApprovalGuard

        policies = (policy or self.policy_guard()).policies
        return ApprovalGuard(self.existing_ledger, self.settings.account, self.clock, policies)

    def _concurrency(self) -> "Concurrency":
        """Return how many orders are sent at a time. The emulator runs on this machine and gains nothing from many."""
        from runa_cli.issuing.concurrency import LEAST, Concurrency

        chosen = self.settings.concurrency.value
        if chosen != AUTO:
            return Concurrency(chosen)
        return Concurrency(LEAST if self.environment == "local" else None, self._orders_per_minute)

    @property
    def _orders_per_minute(self) -> int:
        """The limit on orders a minute, 0 for none; by default the emulator has none."""
        limit = self.settings.rate_limit
        return 0 if self.environment == "local" and limit.origin == sources.ORIGIN_DEFAULT else limit.value

    def _rate_limit(self) -> "RateLimit":
        from runa_cli.issuing.rate_limit import WINDOW, RateLimit
        from runa_cli.ledger.orders import Turn

        limit, ledger, environment, clock = self._orders_per_minute, self.ledger, self.environment, self.clock
        if not limit:
            return RateLimit(clock=clock)
        return RateLimit(
            Turn(limit, WINDOW), clock, share_pause=lambda seconds: ledger.pause(environment, seconds, clock.now())
        )

    def progress(self) -> "Progress":
        """Return how this session shows progress: a bar on a terminal, lines elsewhere, nothing under --quiet."""
        from runa_cli.output.progress import NoProgress, ProgressBar, ProgressLines

        if self.console.quiet:
            return NoProgress()
        return ProgressBar(self.console) if self.console.is_terminal else ProgressLines(self.console)

    @property
    def ask(self) -> Callable[[str], bool] | None:
        """Asks a yes-or-no question; None where nobody could answer."""
        readable = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
        return self.console.ask if readable and self.console.is_terminal else None


@contextmanager
def emulator_data() -> Iterator[Path]:
    """Yield the path of the emulator's account. Raises ConfigurationError where it cannot be used."""
    import sqlite3

    path = paths.data_directory() / "emulator.db"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield path
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(
            f"The emulator cannot keep its data in {path}: {error}.", "`runa emulator reset` starts it afresh."
        ) from error
