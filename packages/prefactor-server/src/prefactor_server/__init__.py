"""The self-hosted server of the Prefactor API: one process on SQLite, started by one command.

Use the ``prefactor-server`` command. No module of this package is meant for import by others.
"""

from prefactor_server._version import __version__

__all__ = ["__version__"]
