"""``python -m prefactor_cli``: the same as the ``prefactor`` command."""

from prefactor_cli.main import main

main()
