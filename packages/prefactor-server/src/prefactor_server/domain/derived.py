"""How far what is derived from the change feed is behind it."""

from __future__ import annotations

from typing import NamedTuple


class DerivedState(NamedTuple):
    """Everything committed until ``behind_us`` ago is in it.

    It is not ``complete`` until what was stored before has been filled in.
    """

    behind_us: int
    complete: bool
