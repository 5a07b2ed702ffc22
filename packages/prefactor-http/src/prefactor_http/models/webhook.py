"""Webhooks and their deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from prefactor_http.models.base import ReplyModel, RequestModel


class WebhookForUpdate(RequestModel):
    """Changes to a webhook. Omitted fields do not change. A filter of None matches every run."""

    url: str | None = None
    events: list[str] | None = None
    description: str | None = None
    agent_ids: list[str] | None = None
    environment_ids: list[str] | None = None
    purposes: list[str] | None = None
    status: Literal["enabled", "disabled"] | None = None
    previous_updated_at: datetime | None = None
    """The `updated_at` that the change is based on. The server rejects any other."""

    def to_body(self) -> dict[str, Any]:
        """Return exactly the fields that were given, including None."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class Webhook(ReplyModel):
    """A URL that receives events. `status` is enabled or disabled."""

    type: Literal["webhook"] = "webhook"
    id: str
    account_id: str | None = None
    url: str | None = None
    description: str | None = None
    events: tuple[str, ...] = ()
    agent_ids: tuple[str, ...] | None = None
    """The agents whose runs it receives events of; None for all. The other filters are similar."""
    environment_ids: tuple[str, ...] | None = None
    purposes: tuple[str, ...] | None = None
    status: str | None = None
    disabled_reason: str | None = None
    """Why the server disabled it; None if a person did."""
    failing_since: datetime | None = None
    retry_at: datetime | None = None
    previous_secret_until: datetime | None = None
    """Until when requests are signed with the previous secret as well."""
    inserted_at: datetime | None = None
    updated_at: datetime | None = None


class WebhookWithSecret(Webhook):
    """A webhook with its new secret, which the server never shows again."""

    secret: str | None = Field(default=None, repr=False)
    """The secret that requests are signed with; hidden in `repr()`."""


class WebhookDelivery(ReplyModel):
    """One event for one webhook. `status` is pending, delivered or failed."""

    type: Literal["webhook_delivery"] = "webhook_delivery"
    id: str
    account_id: str | None = None
    webhook_id: str | None = None
    agent_instance_id: str | None = None
    event_id: str | None = None
    """The value of the header `webhook-id`."""
    event_type: str | None = None
    status: str | None = None
    attempts: int = 0
    response_status: int | None = None
    error: str | None = None
    next_attempt_at: datetime | None = None
    last_attempt_at: datetime | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None
    body: dict[str, Any] | None = None
    """The body of the request. Lists omit it."""
