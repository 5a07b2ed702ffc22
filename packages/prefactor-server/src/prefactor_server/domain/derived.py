"""The lag of derived rows behind the change feed."""

from __future__ import annotations

from typing import NamedTuple


class DerivedState(NamedTuple):
    """How far derived rows lag: they reflect every commit that is older than ``behind_us``.

    They are ``complete`` once the backfill of older runs has finished.
    """

    behind_us: int
    complete: bool
