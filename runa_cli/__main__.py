"""`python -m runa_cli`."""

from runa_cli.cli import main

main()
