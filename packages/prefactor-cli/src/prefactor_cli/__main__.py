"""``python -m prefactor_cli``: the ``prefactor`` command."""

from prefactor_cli.main import main

main()
