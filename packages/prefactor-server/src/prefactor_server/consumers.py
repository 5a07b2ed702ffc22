"""The consumers of the change feed: the one place that lists what is derived from runs."""

from __future__ import annotations

from collections.abc import Sequence

from prefactor_server.follower import Attached
from prefactor_server.storage.base import Storage


def consumers(storage: Storage) -> Sequence[Attached]:  # noqa: ARG001 - the first is on its way
    """Return what follows the feed of a database."""
    return ()
