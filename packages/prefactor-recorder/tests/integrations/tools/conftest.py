"""Fixtures for the tests of tools in every integration."""

from collections.abc import Iterator

import agents
import pytest

from prefactor_recorder.integrations import anthropic as recording_anthropic
from prefactor_recorder.integrations import openai as recording_openai
from prefactor_recorder.recorder import Recorder


@pytest.fixture(autouse=True)
def instrumented() -> Iterator[None]:
    """Record the vendors' clients, and remove the SDK's processors after the test."""
    recording_openai.instrument(Recorder(enabled=False))
    recording_anthropic.instrument(Recorder(enabled=False))
    yield
    recording_openai.uninstrument()
    recording_anthropic.uninstrument()
    agents.set_trace_processors([])
