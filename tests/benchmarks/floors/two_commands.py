"""The smallest Typer program with two commands."""

import typer

app = typer.Typer()


@app.command()
def one() -> None:
    """Do one thing."""


@app.command()
def other() -> None:
    """Do another thing."""


if __name__ == "__main__":
    app()
