"""``python -m prefactor_server``: the ``prefactor-server`` command."""

from prefactor_server.cli.main import main

main()
