"""The self-hosted server of the Prefactor API: one process on SQLite, started by one command.

Use the ``prefactor-server`` command; nothing in here is meant to be imported by other programs.
"""

from prefactor_server._version import __version__

__all__ = ["__version__"]
