"""The flags that several commands share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import cyclopts

_SERVER = cyclopts.Group("Connection", sort_key=9)


def _check_finite(_type: object, value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        message = "Must be a finite number."
        raise ValueError(message)


FINITE: Final = cyclopts.Parameter(validator=_check_finite)
"""Of a number. No comparison with NaN holds, so a limit of NaN would never be exceeded."""

Json: TypeAlias = Annotated[
    bool, cyclopts.Parameter(name="--json", negative=(), show_default=False)
]
"""Whether the output is for a program."""

Yes: TypeAlias = Annotated[
    bool, cyclopts.Parameter(name=("--yes", "-y"), negative=(), show_default=False)
]
"""Whether the caller has confirmed already."""

Switch: TypeAlias = Annotated[bool, cyclopts.Parameter(negative=(), show_default=False)]
"""A flag without a negative form."""


Texts: TypeAlias = Annotated[
    tuple[str, ...], cyclopts.Parameter(show_default=False, negative_iterable=())
]
"""A flag that may be repeated."""


@dataclass(frozen=True)
class ConnectionFlags:
    """The server's URL and the caller's token."""

    url: Annotated[str | None, cyclopts.Parameter(group=_SERVER)] = None
    """The URL of the server. The default is PREFACTOR_API_URL."""
    token_file: Annotated[Path | None, cyclopts.Parameter(group=_SERVER)] = None
    """A file with the token. The default is PREFACTOR_API_TOKEN. The token itself cannot be an
    argument, because other users of the machine can see arguments."""


Connection: TypeAlias = Annotated[ConnectionFlags | None, cyclopts.Parameter(name="*")]
"""The flags of the connection, for any command."""
