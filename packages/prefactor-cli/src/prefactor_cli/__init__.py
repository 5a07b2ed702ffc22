"""The ``prefactor`` command: the runs of AI agents, for people and scripts at a terminal."""

from prefactor_cli._version import __version__

__all__ = ["__version__"]
