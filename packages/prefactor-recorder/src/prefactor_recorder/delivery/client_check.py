"""Checks that the installed `prefactor_http` is the client of this release.

Several projects publish a package of this name, and Python imports the one installed last. The
check reads only the small module `_version`, because importing the client would slow down start.
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
    """Check that `prefactor_http` is the client of this release. Successes are cached.

    Raises:
        ConfigurationError: It is missing, from another project, or from another release.
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
        f"{CLIENT} in {spec.origin or 'an unknown location'} is {what}{number}, which "
        f"prefactor-recorder cannot use. {_advice()}"
    )


def _advice() -> str:
    return (
        f"Install prefactor-http {__version__} from the same source as prefactor-recorder "
        f"{__version__}, into the same environment. Other packages that require prefactor-http "
        "work with it."
    )


def _spec(name: str) -> ModuleSpec | None:
    """Return the spec of a top-level module, imported or not."""
    try:
        return find_spec(name)
    except ValueError:  # sys.modules holds something without a spec
        return None


def _version_module(client: ModuleSpec) -> Any:
    """Import the client's `_version` without the client. Return None if it has no such module."""
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
