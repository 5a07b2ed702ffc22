"""The cost of reads: costly ones wait for a turn, and those of a bulk request have a budget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from prefactor_server.api.kernel.operation import COSTLY, Call, PureOperation, Read
from prefactor_server.domain.errors import Limit, TooLarge

T = TypeVar("T")

MAX_BULK_COST: Final = 1000
"""What the reads of one bulk request may cost together."""

MAX_BULK_BYTES: Final = 32 * 1024 * 1024
"""The size of the answers of a bulk request's reads after which it does no further read."""

_NEXT_STEP: Final = "send this item and those after it in another request"


def cost_of(operation: Read | PureOperation, call: Call) -> int:
    """Return the cost of a read with the query of its call."""
    if isinstance(operation, PureOperation):
        return operation.cost
    return operation.cost + sum(one.cost for one in operation.parameters if one.name in call.query)


async def in_turn(
    operation: Read | PureOperation, call: Call, answer: Callable[[], Awaitable[T]]
) -> T:
    """Return the answer of a read. A costly one first waits for a turn of its caller.

    Raises:
        Overloaded: too many costly reads of this caller are waiting.
    """
    if cost_of(operation, call) < COSTLY:
        return await answer()
    async with call.services.costly_reads.turn(call.principal.token_id):
        return await answer()


class BulkReads:
    """Limits what the reads of a bulk request cost and answer."""

    def __init__(self) -> None:
        self._bytes = 0

    def begin(self, operation: Read | PureOperation, call: Call) -> None:
        """Count a read that is about to start.

        Raises:
            TooLarge: it exceeds what the reads of a request may cost, or they have answered enough.
        """
        work, cost = call.work, cost_of(operation, call)
        if work.read_cost + cost > MAX_BULK_COST:
            raise TooLarge(
                f"The reads of a bulk request may cost {MAX_BULK_COST} together. Those before this "
                f"item cost {work.read_cost}, and {operation.item_type} costs {cost} here: "
                f"{_NEXT_STEP}",
                Limit("bulk_read_cost", MAX_BULK_COST),
            )
        if self._bytes >= MAX_BULK_BYTES:
            raise TooLarge(
                f"The reads before this item have answered {self._bytes} bytes, and after "
                f"{MAX_BULK_BYTES} a bulk request does no further read: {_NEXT_STEP}",
                Limit("bulk_read_bytes", MAX_BULK_BYTES),
            )
        work.read_cost += cost

    def end(self, answer: bytes) -> None:
        """Count the answer of a read."""
        self._bytes += len(answer)
