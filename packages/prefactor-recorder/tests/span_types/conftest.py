"""Fixtures for the tests of traced functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prefactor_recorder.testing import InMemoryRecorder


@pytest.fixture
def recorder() -> Iterator[InMemoryRecorder]:
    """A recorder without a server."""
    with InMemoryRecorder() as recorder:
        yield recorder
