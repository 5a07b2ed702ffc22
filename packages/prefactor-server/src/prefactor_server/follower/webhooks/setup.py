"""Creates the webhook client and the webhook sender from the settings."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable

from prefactor_server.commands.writer import Writer
from prefactor_server.domain.runs.webhooks.target import AllowedNetworks
from prefactor_server.domain.times import DAY_US
from prefactor_server.follower.lease import Lease
from prefactor_server.follower.webhooks.client import WebhookClient
from prefactor_server.follower.webhooks.secret_box import SecretBox
from prefactor_server.follower.webhooks.sender import LEASE_NAME, WebhookSender
from prefactor_server.storage.base import Storage


def webhook_client(
    secret_key: str,
    networks: AllowedNetworks,
    now_us: Callable[[], int],
    timeout_seconds: float,
) -> WebhookClient:
    """Return a client that sends deliveries.

    Raises:
        SettingError: the secret key is too short.
    """
    box = SecretBox(secret_key, secrets.token_bytes)
    return WebhookClient(box, networks, now_us=now_us, timeout_seconds=timeout_seconds)


def webhook_sender(
    storage: Storage,
    writer: Writer,
    client: WebhookClient,
    holder: str,
    now_us: Callable[[], int],
    *,
    keep_days: int,
) -> WebhookSender:
    """Return a sender, which works while this replica (``holder``) has the lease."""
    return WebhookSender(
        storage,
        writer,
        client,
        Lease(storage.feed, holder, now_us, name=LEASE_NAME),
        now_us=now_us,
        jitter=random.random,
        keep_us=keep_days * DAY_US,
    )
