"""The version of this distribution, the same for every package of the repository."""

PACKAGE_NAME = "prefactor-recorder"
__version__ = "1.0.0"
PACKAGE_VERSION = __version__
