"""The lag of derived rows behind the change feed."""

from __future__ import annotations

from typing import NamedTuple


class DerivedState(NamedTuple):
    """The derived rows reflect everything committed until ``behind_us`` ago.

    They are ``complete`` once the backfill of older runs has finished.
    """

    behind_us: int
    complete: bool
