"""Building the body of a large response within the memory budget."""

from collections.abc import Iterator

import pytest

from prefactor_server.api.asgi.collecting import PART_BYTES, collect
from prefactor_server.http.memory_budget import BudgetExhausted, MemoryBudget

PIECE = b"x" * (PART_BYTES // 4)


async def test_a_body_is_counted_while_it_is_built() -> None:
    """A body without an end is given up as soon as it exceeds the budget."""
    budget, produced = MemoryBudget(3 * PART_BYTES), 0

    def endless() -> Iterator[bytes]:
        nonlocal produced
        while True:
            produced += 1
            yield PIECE

    memory = budget.lease()
    with pytest.raises(BudgetExhausted):
        await collect(endless(), memory)

    assert produced == 16
    memory.release()
    assert budget.held == 0


@pytest.mark.parametrize("count", [0, 1, 4, 9])
async def test_a_body_replaces_what_was_reserved_for_it(count: int) -> None:
    """All pieces are returned in order, and held instead of the rows they were made from."""
    budget = MemoryBudget(8 * PART_BYTES)
    memory = budget.lease()
    memory.reserve(PART_BYTES)
    pieces = [bytes([number]) * len(PIECE) for number in range(count)]

    assert await collect(iter(pieces), memory) == pieces
    assert budget.held == count * len(PIECE)


def test_something_large_reserves_a_quarter_of_the_budget() -> None:
    """What would never fit is not refused for its size, and four of them fit."""
    budget = MemoryBudget(4000)
    for _ in range(4):
        budget.lease().reserve(10**9)
    with pytest.raises(BudgetExhausted):
        budget.lease().reserve(1)
    assert budget.held == 4000
