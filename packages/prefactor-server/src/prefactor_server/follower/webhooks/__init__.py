"""Webhooks: sending and signing deliveries, and storing the secrets that sign them."""

from prefactor_server.follower.webhooks.client import WebhookClient
from prefactor_server.follower.webhooks.secret_box import SecretBox
from prefactor_server.follower.webhooks.sender import WebhookSender
from prefactor_server.follower.webhooks.setup import webhook_client, webhook_sender

__all__ = ["SecretBox", "WebhookClient", "WebhookSender", "webhook_client", "webhook_sender"]
