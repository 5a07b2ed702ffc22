"""Fixtures for the tests of Anthropic's client."""

from collections.abc import AsyncIterator, Iterator

import anthropic
import pytest

from model_api import ModelApi
from prefactor_recorder.guard import failures
from prefactor_recorder.integrations import anthropic as recording
from prefactor_recorder.recorder import Recorder


@pytest.fixture(autouse=True)
def instrumented() -> Iterator[None]:
    """Record every client's calls, and check that nothing in the recorder fails."""
    failed = failures.count
    recording.instrument(Recorder(enabled=False))
    yield
    recording.uninstrument()
    assert failures.count == failed


@pytest.fixture
def client(model_api: ModelApi) -> Iterator[anthropic.Anthropic]:
    """A client of the API on this machine."""
    with anthropic.Anthropic(api_key="sk-secret", base_url=model_api.url, max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(model_api: ModelApi) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The same, to be awaited."""
    async with anthropic.AsyncAnthropic(
        api_key="sk-secret", base_url=model_api.url, max_retries=0
    ) as made:
        yield made
