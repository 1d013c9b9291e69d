"""The smallest program with Typer and requests that posts a body: `post_one.py URL FILE`."""

import json
from pathlib import Path

import requests
import typer

app = typer.Typer()


@app.command()
def post(url: str, body: str) -> None:
    """Post a file and print the payout links of the answer."""
    headers = {"Content-Type": "application/json", "X-Api-Key": "floor.key", "X-Idempotency-Key": "floor"}
    answer = requests.post(url, data=Path(body).read_bytes(), headers=headers, timeout=60)
    answer.raise_for_status()
    for item in json.loads(answer.content)["items"]:
        typer.echo(item["payout"]["url"])


if __name__ == "__main__":
    app()
