"""A receiver, and a webhook for every event."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_client import ApiClient
from webhook_receiver import Receiver, receiving

from prefactor_server.domain.runs.webhooks.webhook import EVENTS


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """The receiver of webhook deliveries."""
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def webhook(api_client: ApiClient, receiver: Receiver) -> Any:
    """The answer to the creation of a webhook for every event."""
    # Events from here on are new to the follower.
    await api_client.follow()
    details = {"url": receiver.url, "events": list(EVENTS)}
    answer = await api_client.post("/webhook", {"details": details})
    assert answer.status == 200, answer.text
    return answer.body
