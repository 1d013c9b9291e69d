"""What a command works with: settings, ledger, the way to Runa or the embedded emulator, and the ways to talk."""

import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from runa_cli.api.client import Client, Endpoint
from runa_cli.api.retry import LOCAL, REMOTE
from runa_cli.config import paths, sources
from runa_cli.config import settings as configuration
from runa_cli.config.settings import Settings
from runa_cli.core.clock import REAL, Clock
from runa_cli.core.errors import ConfigurationError, UsageMistake
from runa_cli.issuing.issuer import Issuer
from runa_cli.issuing.rate_limit import RateLimit
from runa_cli.issuing.terms import Progress, Terms
from runa_cli.ledger.ledger import Ledger
from runa_cli.output.console import Console
from runa_cli.output.progress import NoProgress, ProgressBar, ProgressLines
from runa_cli.output.stdout import Output

LOCAL_KEY = "xxlocal.emulator"  # the emulator asks for a key as Runa does; this one opens nothing else


@dataclass(frozen=True)
class Voice:
    """How a command was asked to show things."""

    output: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False


class Session:
    """One run of a command. A context manager: what it opened is closed with it."""

    def __init__(
        self, voice: Voice, flags: Mapping[str, object], env_file: Path | None = None, clock: Clock = REAL
    ) -> None:
        self.clock = clock
        if voice.json and voice.output not in {None, "json"}:
            raise UsageMistake(f"--json and --output {voice.output} contradict each other.")
        flags = {**flags, "RUNA_OUTPUT": "json" if voice.json else voice.output}
        self.settings: Settings = configuration.load(flags, env_file=env_file)
        no_color = voice.no_color or self.settings.no_color.value
        self.output = Output(self.settings.output.value, no_color=no_color)
        self.talk = Console(quiet=voice.quiet, as_json=self.output.format in {"json", "jsonl"}, no_color=no_color)
        if voice.verbose:
            self.talk.log()
        self._stack = ExitStack()
        self._ledger: Ledger | None = None
        self._client: Client | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> str:
        """The environment, once `client` or `checked` has made sure that there is one."""
        return self.settings.environment.value or ""

    def checked(self) -> Settings:
        """Return the settings if a request can be made with them. Raises ConfigurationError."""
        configuration.check(self.settings)
        for warning in configuration.warnings(self.settings):
            self.talk.warn(warning)
        return self.settings

    @property
    def ledger(self) -> Ledger:
        """The open ledger. Raises LedgerUnusable."""
        if self._ledger is None:
            self._ledger = self._stack.enter_context(Ledger(self.settings.ledger.value))
        return self._ledger

    @property
    def client(self) -> Client:
        """The way to Runa; for `local`, to the emulator that is started now. Raises ConfigurationError."""
        if self._client is None:
            settings = self.checked()
            url = configuration.request_url(settings) or self._start_emulator()
            self._client = Client(self.endpoint(url), self.clock)
        return self._client

    def endpoint(self, url: str) -> Endpoint:
        """Return where and as whom to talk."""
        key = self.settings.api_key.value
        local = self.environment == "local"
        return Endpoint(url, LOCAL_KEY if local or key is None else key.value, self.settings.api_version.value)

    def _start_emulator(self) -> str:
        from runa_cli.emulator.server import DEFAULT_PORT, Emulator  # only here, for it costs as much as a command

        with emulator_data() as path:
            # It ends with the command; its links open where `runa emulator serve` listens.
            return self._stack.enter_context(Emulator(path, links=f"http://127.0.0.1:{DEFAULT_PORT}")).url

    def issuing(self, *, wait: bool = True, progress: Progress | None = None) -> Issuer:
        """Return what issues batches in this session."""
        settings, local = self.settings, self.environment == "local"
        rate = settings.rate_limit
        return Issuer(
            ledger=self.ledger,
            client=self.client,
            terms=Terms(timeout=settings.timeout.value, wait=wait, pace=LOCAL if local else REMOTE),
            progress=progress or self.progress(),
            say=self.talk.say,
            ask=self.ask,
            concurrency=settings.concurrency.value,
            governor=RateLimit(0 if local and rate.origin == sources.ORIGIN_DEFAULT else rate.value, self.clock),
            clock=self.clock,
        )

    def progress(self) -> Progress:
        """Return progress as this session shows it."""
        if self.talk.quiet:
            return NoProgress()
        return ProgressBar(self.talk) if self.talk.is_terminal else ProgressLines(self.talk)

    @property
    def ask(self) -> Callable[[str], bool] | None:
        """How to ask for a yes; None where nobody could answer."""
        readable = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
        return self.talk.ask if readable and self.talk.is_terminal else None


@contextmanager
def emulator_data() -> Iterator[Path]:
    """Give the file in which the emulator keeps its account. Raises ConfigurationError where that cannot be used."""
    path = paths.data_directory() / "emulator.db"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield path
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(
            f"The emulator cannot keep its data in {path}: {error}.", "`runa emulator reset` starts it afresh."
        ) from error
