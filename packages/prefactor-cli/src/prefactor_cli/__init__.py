"""The ``prefactor`` command: shows the runs of AI agents to people and scripts."""

from prefactor_cli._version import __version__

__all__ = ["__version__"]
