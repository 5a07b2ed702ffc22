"""The time of a server whose machine's clock differs from that of its database."""

from prefactor_server.storage.clock import SharedClock

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US


async def test_a_corrected_clock_does_not_jump() -> None:
    """Setting a wrong clock right changes nothing, and it is used again after the comparison."""
    true, error = HOUR_US, HOUR_US
    clock = SharedClock(machine_us=lambda: true + error, monotonic_us=lambda: true - 7)

    async def database_us() -> int:
        return true

    assert clock() == 2 * HOUR_US
    await clock.compare(database_us)
    assert clock() == HOUR_US
    error = SECOND_US
    true += SECOND_US
    assert clock() == true
    await clock.compare(database_us)
    assert clock() == true + error


async def test_a_slow_answer() -> None:
    """A comparison that takes long does not correct a clock that may be right."""
    now = 0

    async def database_us() -> int:
        nonlocal now
        now += HOUR_US
        return now - 40 * 60 * SECOND_US

    clock = SharedClock(machine_us=lambda: now, monotonic_us=lambda: now)
    await clock.compare(database_us)

    assert clock() == now
