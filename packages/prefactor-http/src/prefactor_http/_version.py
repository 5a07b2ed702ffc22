"""The version of this distribution, the same for every package of the repository."""

PACKAGE_NAME = "prefactor-http"
__version__ = "1.0.0"
PACKAGE_VERSION = __version__
IMPLEMENTATION = "prefactor-open"
"""Distinguishes this client from others named `prefactor_http`; `prefactor_recorder` checks it."""
