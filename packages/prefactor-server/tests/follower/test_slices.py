"""Commits gather for longer while a server is busy."""

import pytest

from prefactor_server.follower.slices import gather_seconds


@pytest.mark.parametrize(
    ("rows", "seconds", "gathered"),
    [
        pytest.param(0, 0.0, 0.5, id="nothing to do"),
        pytest.param(250, 0.01, 0.5, id="500 changes a second"),
        pytest.param(500, 0.01, 1.0, id="more than that"),
        pytest.param(5000, 0.1, 2.0, id="many"),
        pytest.param(1, 0.6, 1.2, id="a slow slice"),
        pytest.param(1, 60.0, 2.0, id="a very slow slice"),
    ],
)
def test_commits_gather_by_the_last_slice(rows: int, seconds: float, gathered: float) -> None:
    """Commits gather for half a second, up to two after a slice that was large or slow."""
    assert gather_seconds(rows, seconds) == gathered
