"""The version of this distribution; one version for every package of the repository."""

PACKAGE_NAME = "prefactor-http"
__version__ = "1.0.0"
PACKAGE_VERSION = __version__
IMPLEMENTATION = "prefactor-open"
"""Tells this client from others that are called `prefactor_http`: `prefactor_recorder` asks."""
