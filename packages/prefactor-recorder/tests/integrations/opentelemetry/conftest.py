"""Fixtures for the tests of the OpenTelemetry integration."""

from collections.abc import Iterator

import pytest

from prefactor_recorder.guard import failures
from prefactor_recorder.testing import InMemoryRecorder


@pytest.fixture
def recorder() -> InMemoryRecorder:
    """A recorder to read the spans from."""
    return InMemoryRecorder()


@pytest.fixture(autouse=True)
def nothing_fails() -> Iterator[None]:
    """Check that nothing in the recorder fails during the test."""
    failed = failures.count
    yield
    assert failures.count == failed
