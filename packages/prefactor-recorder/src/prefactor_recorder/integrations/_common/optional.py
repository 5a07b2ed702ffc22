"""The error for an integration whose library is not installed."""

from __future__ import annotations

import re


def missing_library(requirement: str) -> ModuleNotFoundError:
    """Return the error to raise, with the command that installs the library.

    Args:
        requirement: The missing requirement, as in this package's extra.
    """
    library = re.split(r"[^\w-]", requirement)[0]
    return ModuleNotFoundError(
        f'{library} is not installed. This integration needs it: pip install "{requirement}"',
        name=library,
    )
