"""Refusing to deliver through another package that is called `prefactor_http`.

Several projects publish a client under this name, and the last one installed is the one that Python
imports. Delivery needs the client of this release, so it looks before anything is recorded. Only
the client's small module `_version` is read: importing the client itself takes too long at start.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

from prefactor_recorder._version import __version__
from prefactor_recorder.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

CLIENT = "prefactor_http"
_OURS = ("prefactor-open", __version__)


@cache
def require_client() -> None:
    """Check that `prefactor_http` is the client of this release; asked again, it costs nothing.

    Raises:
        ConfigurationError: It is missing, another project's, or of another release.
    """
    spec = _spec(CLIENT)
    if spec is None:
        raise ConfigurationError(f"{CLIENT} is not installed. {_advice()}")
    version = _version_module(spec)
    found = (getattr(version, "IMPLEMENTATION", None), getattr(version, "__version__", None))
    if found == _OURS:
        return
    what = "another release" if found[0] == _OURS[0] else "another implementation"
    number = f", version {found[1]}" if found[1] else ""
    raise ConfigurationError(
        f"{CLIENT} in {spec.origin or 'an unknown place'} is {what}{number}: prefactor-recorder "
        f"cannot deliver through it. {_advice()}"
    )


def _advice() -> str:
    return (
        f"Install prefactor-http {__version__} from where prefactor-recorder {__version__} came "
        f"from, into the same environment; other packages that ask for prefactor-http work with it."
    )


def _spec(name: str) -> ModuleSpec | None:
    """Return where a top-level module would be imported from, or was."""
    try:
        return find_spec(name)
    except ValueError:  # something without a spec was put into sys.modules
        return None


def _version_module(client: ModuleSpec) -> Any:
    """Load the client's `_version` by itself, or return None if it has no such module."""
    name = f"{CLIENT}._version"
    if name in sys.modules:
        return sys.modules[name]
    for finder in sys.meta_path:
        spec = finder.find_spec(name, client.submodule_search_locations)
        if spec is not None and spec.loader is not None:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    return None
