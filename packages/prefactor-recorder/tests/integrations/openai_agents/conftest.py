"""Fixtures for the tests of the OpenAI Agents SDK."""

from collections.abc import Iterator

import agents
import pytest

from prefactor_recorder.integrations.openai_agents import (
    PrefactorTracingProcessor,
    record_agents,
)
from prefactor_recorder.testing import InMemoryRecorder


@pytest.fixture
def recorder() -> InMemoryRecorder:
    """A recorder to look at afterwards."""
    return InMemoryRecorder()


@pytest.fixture(autouse=True)
def _no_other_processor() -> Iterator[None]:
    """Remove the SDK's processors after each test."""
    yield
    agents.set_trace_processors([])


@pytest.fixture
def processor() -> PrefactorTracingProcessor:
    """A processor that records inside of runs only, and is the only one."""
    return record_agents(replace=True)
