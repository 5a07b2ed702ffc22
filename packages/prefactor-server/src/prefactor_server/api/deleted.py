"""What is said of something that an earlier request has deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from prefactor_server.api.kernel.operation import Call
from prefactor_server.api.views.base import Success


class DeletedView(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of something that was deleted."""

    type: str
    id: str


def show_deleted(kind: str) -> Callable[[Call, str], Awaitable[Success[DeletedView]]]:
    """The answer to a repeated deletion: it was done, and there is nothing left to show."""

    async def show(call: Call, deleted_id: str) -> Success[DeletedView]:
        del call
        return Success(details=DeletedView(type=kind, id=deleted_id))

    return show
