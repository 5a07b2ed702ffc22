"""Fixtures for the tests of tools in every integration."""

from collections.abc import Iterator

import agents
import pytest

from prefactor_recorder.integrations import anthropic as recording_anthropic
from prefactor_recorder.integrations import openai as recording_openai
from prefactor_recorder.recorder import Recorder


@pytest.fixture(autouse=True)
def instrumented() -> Iterator[None]:
    """The vendors' clients are recorded, and the SDK's processors are put away at the end."""
    recording_openai.instrument(Recorder(enabled=False))
    recording_anthropic.instrument(Recorder(enabled=False))
    yield
    recording_openai.uninstrument()
    recording_anthropic.uninstrument()
    agents.set_trace_processors([])
