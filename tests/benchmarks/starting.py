"""How long a command takes that ends at once."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from tests.benchmarks.measure import Command, Line, Unmeasurable, compared, in_turns, unmeasured
from tests.benchmarks.setting import GIFT, Bench, serving


def version(bench: Bench) -> list[Line]:
    """`runa --version` against `python -c pass`."""
    home = bench.home("start")
    nothing = Command([sys.executable, "-c", "pass"], home)
    command = bench.runa(home, "--version")
    runs, floor = in_turns(bench.size.starts, lambda _: command.run(), lambda _: nothing.run())
    return [compared("runa --version, against python -c pass", runs, floor, 3, by_cpu=True)]


def help_texts(bench: Bench) -> list[Line]:
    """Help texts against the help of the smallest Typer program with two commands."""
    home, floor_command = bench.home("start"), bench.floor("two_commands", "--help")
    commands = [bench.runa(home, "--help"), bench.runa(home, "order", "create", "--help")]
    top, create, floor = in_turns(bench.size.starts, *[lambda _, it=it: it.run() for it in (*commands, floor_command)])
    return [
        compared("runa --help, against two commands --help", top, floor, 1.15, by_cpu=True),
        compared("runa order create --help, against two commands --help", create, floor, 1.6, by_cpu=True),
    ]


def one_order(bench: Bench) -> list[Line]:
    """`runa order create` against the smallest program that posts the same body, and against HTTPie."""
    home, body = bench.home("one"), bench.directory / "body.json"
    with serving() as url:
        create = lambda number: bench.runa(  # noqa: E731
            home,
            "order",
            "create",
            *GIFT,
            "--email",
            f"p{number}@example.com",
            "--mode",
            "sync",
            "-o",
            "links",
            url=url,
        ).run()
        steps = [create]
        body.write_bytes(_body(bench, url))
        floor = bench.floor("post_one", f"{url}/order", str(body))
        steps.append(lambda _: floor.run())
        try:
            http = _httpie(bench, url, body)
            steps.append(lambda _: http.run())
            reason = ""
        except Unmeasurable as missing:
            reason = str(missing)
        runs, floor_runs, *http_runs = in_turns(bench.size.starts, *steps)
    lines = [compared("runa order create, against Typer and requests", runs, floor_runs, 1.3)]
    what = "runa order create, against http POST of HTTPie"
    return [*lines, compared(what, runs, http_runs[0], 1.0) if http_runs else unmeasured(what, reason)]


def _body(bench: Bench, url: str) -> bytes:
    """Return the body of such an order, as the program sends it."""
    dry = bench.runa(
        bench.home("body"), "order", "create", *GIFT, "--email", "p0@example.com", "--mode", "sync", "--dry-run",
        "--json", url=url,
    ).run()  # fmt: skip
    return json.dumps(json.loads(dry.out)[0]["body"]).encode()


def _httpie(bench: Bench, url: str, body: Path) -> Command:
    """Return a run of HTTPie, installed in an environment of its own. Raises Unmeasurable where it cannot be."""
    if bench.size.name == "tiny":
        raise Unmeasurable("HTTPie is not installed for a tiny run")
    place = bench.directory / "httpie"
    venv.create(place, with_pip=True)
    pip = [str(place / "bin/pip"), "install", "-q", "httpie"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    installed = subprocess.run(pip, check=False, capture_output=True, env=env)
    if installed.returncode:
        raise Unmeasurable("HTTPie is not installed, and pip cannot install it")
    headers = ["Content-Type:application/json", "X-Api-Key:floor.key", "X-Idempotency-Key:floor"]
    options = ["--ignore-stdin", "--check-status", "--body"]
    command = [str(place / "bin/http"), *options, "POST", f"{url}/order", *headers, f"@{body}"]
    return Command(command, bench.home("floor"))
