"""What to say when an integration is imported and its library is not there."""

from __future__ import annotations


def missing_library(library: str, extra: str) -> ModuleNotFoundError:
    """The error to raise, with the command that helps.

    Args:
        library: The distribution that is missing.
        extra: The extra of this package that brings it.
    """
    return ModuleNotFoundError(
        f"{library} is not installed. This integration needs it: "
        f'pip install "prefactor-recorder[{extra}]"',
        name=library,
    )
