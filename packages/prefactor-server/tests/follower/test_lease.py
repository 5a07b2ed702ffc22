"""A lease is written rarely, and its holder never works after its end."""

from typing import Any

import pytest

from prefactor_server.follower.lease import Lease


class Replicas:
    """Two holders that ask for one lease of ten microseconds at given times."""

    def __init__(self, storage: Any) -> None:
        self.now = 0
        self.first, self.second = (
            Lease(storage.feed, holder, lambda: self.now, name="work", duration_us=10)
            for holder in ("first", "second")
        )

    async def take(self, lease: Lease, at: int) -> bool:
        """Take the lease at a time; return whether the holder may work."""
        self.now = at
        taken = await lease.take()
        assert lease.is_held == taken
        return taken


@pytest.fixture
def replicas(storage: Any) -> Replicas:
    """Two replicas on one database."""
    return Replicas(storage)


async def test_a_lease_is_extended_in_its_last_half(replicas: Replicas) -> None:
    """A holder that works on extends its lease once half of it has passed, not at each turn."""
    assert await replicas.take(replicas.first, 100)
    assert await replicas.take(replicas.first, 104)
    assert not await replicas.take(replicas.second, 109)
    assert await replicas.take(replicas.second, 110)

    assert await replicas.take(replicas.second, 115)
    assert not await replicas.take(replicas.first, 124)


async def test_an_expired_lease_allows_no_work(replicas: Replicas) -> None:
    """A holder that was slow asks again, and stops if another has taken its place."""
    assert await replicas.take(replicas.first, 100)
    replicas.now = 109
    assert replicas.first.is_held
    replicas.now = 110
    assert not replicas.first.is_held

    assert await replicas.take(replicas.second, 110)
    assert not await replicas.take(replicas.first, 110)


async def test_a_released_lease_is_not_held(replicas: Replicas) -> None:
    """A released lease is free at once, and its former holder has to take it again."""
    assert await replicas.take(replicas.first, 100)
    await replicas.first.release()
    assert not replicas.first.is_held

    assert await replicas.take(replicas.second, 101)
    assert not await replicas.take(replicas.first, 102)
    await replicas.first.release()
    assert not await replicas.take(replicas.first, 103)
