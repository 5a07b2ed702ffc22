"""Fixtures for the tests of the LangChain integration."""

import pytest

from prefactor_recorder.integrations.langchain import PrefactorCallbackHandler
from prefactor_recorder.testing import InMemoryRecorder


@pytest.fixture
def recorder() -> InMemoryRecorder:
    """A recorder to look at afterwards."""
    return InMemoryRecorder()


@pytest.fixture
def handler() -> PrefactorCallbackHandler:
    """A handler that records inside of runs only."""
    return PrefactorCallbackHandler()
