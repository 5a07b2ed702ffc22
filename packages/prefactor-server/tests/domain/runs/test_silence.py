"""How long a run was silent, counting only the time during which a server was up."""

import pytest

from prefactor_server.domain.runs.silence import Uptime, silent_before


@pytest.mark.parametrize(
    ("uptime", "before"),
    [
        ([], None),
        ([Uptime(100, 100)], None),
        ([Uptime(100, 109)], None),
        ([Uptime(100, 110)], 100),
        ([Uptime(100, 150)], 140),
        # Six of the ten passed before the downtime, and four after it.
        ([Uptime(100, 150), Uptime(200, 204)], 144),
        ([Uptime(100, 103), Uptime(150, 153), Uptime(200, 204)], 100),
        ([Uptime(100, 102), Uptime(150, 153), Uptime(200, 204)], None),
    ],
)
def test_only_uptime_counts(uptime: list[Uptime], before: int | None) -> None:
    """Only the uptime after a run's last sign of life counts as its silence."""
    assert silent_before(uptime, 10) == before
