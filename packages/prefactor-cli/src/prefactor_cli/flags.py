"""The flags that many commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import cyclopts

_SERVER = cyclopts.Group("Connection", sort_key=9)

Json: TypeAlias = Annotated[
    bool, cyclopts.Parameter(name="--json", negative=(), show_default=False)
]
"""Whether the output is for a program to read."""

Yes: TypeAlias = Annotated[
    bool, cyclopts.Parameter(name=("--yes", "-y"), negative=(), show_default=False)
]
"""Whether the caller has been asked already."""

Switch: TypeAlias = Annotated[bool, cyclopts.Parameter(negative=(), show_default=False)]
"""A flag that is only ever given, never taken back."""


Texts: TypeAlias = Annotated[
    tuple[str, ...], cyclopts.Parameter(show_default=False, negative_iterable=())
]
"""A flag that may be repeated."""


@dataclass(frozen=True)
class ConnectionFlags:
    """Where the server is, and who is calling."""

    url: Annotated[str | None, cyclopts.Parameter(group=_SERVER)] = None
    """The address of the server; PREFACTOR_API_URL when not given."""
    token_file: Annotated[Path | None, cyclopts.Parameter(group=_SERVER)] = None
    """A file with the token; PREFACTOR_API_TOKEN when not given. A token by itself is no argument,
    because other users of the machine see arguments."""


Connection: TypeAlias = Annotated[ConnectionFlags | None, cyclopts.Parameter(name="*")]
"""The flags of the connection, in any command."""
