"""The error for an integration whose library is not installed."""

from __future__ import annotations

import re


def missing_library(requirement: str) -> ModuleNotFoundError:
    """The error to raise, with the command that helps.

    Args:
        requirement: What is missing, as the extra of this package asks for it.
    """
    library = re.split(r"[^\w-]", requirement)[0]
    return ModuleNotFoundError(
        f'{library} is not installed. This integration needs it: pip install "{requirement}"',
        name=library,
    )
