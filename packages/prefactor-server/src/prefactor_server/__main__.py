"""``python -m prefactor_server``: the same as the ``prefactor-server`` command."""

from prefactor_server.cli.main import main

main()
