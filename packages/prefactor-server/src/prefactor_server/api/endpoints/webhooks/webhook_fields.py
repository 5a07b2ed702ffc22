"""The bodies of requests about webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from prefactor_server.api.kernel.fields import Name, Text, Timestamp
from prefactor_server.domain.errors import invalid
from prefactor_server.domain.runs.agent_instance import Purpose
from prefactor_server.domain.runs.webhooks.target import MAX_URL
from prefactor_server.domain.runs.webhooks.webhook import (
    MAX_FILTER_VALUES,
    WebhookEvent,
    WebhookStatus,
)

_MAX_OVERLAP_HOURS: Final = 7 * 24
_MAX_EVENTS: Final = 20

Url: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_URL,
        description=f"must be an https:// URL of at most {MAX_URL} characters.",
    ),
]


def _many(limit: int, what: str) -> Meta:
    return Meta(
        description=f"must be 1 to {limit} {what}.",
        extra_json_schema={"minItems": 1, "maxItems": limit},
    )


Events: TypeAlias = Annotated[list[WebhookEvent], _many(_MAX_EVENTS, "events")]
Ids: TypeAlias = Annotated[list[Name], _many(MAX_FILTER_VALUES, "ids, or null for all")]
Purposes: TypeAlias = Annotated[list[Purpose], _many(_MAX_EVENTS, "purposes, or null for all")]


_LISTS: Final = {
    "events": _MAX_EVENTS,
    "agent_ids": MAX_FILTER_VALUES,
    "environment_ids": MAX_FILTER_VALUES,
    "purposes": _MAX_EVENTS,
}


class WebhookFields(msgspec.Struct, kw_only=True):
    """A new webhook. A missing or null filter matches everything."""

    url: Url
    events: Events
    description: Text | None = None
    agent_ids: Ids | None = None
    environment_ids: Ids | None = None
    purposes: Purposes | None = None
    status: WebhookStatus = "enabled"


class UpdateWebhookFields(msgspec.Struct, kw_only=True):
    """The fields to change. Omitted fields stay as they are. A null filter matches everything.

    If the webhook has another ``updated_at`` than ``previous_updated_at``, nothing changes.
    """

    url: Url | None = None
    events: Events | None = None
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    agent_ids: Ids | msgspec.UnsetType | None = msgspec.UNSET
    environment_ids: Ids | msgspec.UnsetType | None = msgspec.UNSET
    purposes: Purposes | msgspec.UnsetType | None = msgspec.UNSET
    status: WebhookStatus | None = None
    previous_updated_at: Timestamp | None = None


class RotateSecretFields(msgspec.Struct, kw_only=True):
    """For how long requests are signed with the current secret as well as the new one."""

    overlap_hours: Annotated[
        float,
        Meta(
            ge=0,
            le=_MAX_OVERLAP_HOURS,
            description=f"must be 0 to {_MAX_OVERLAP_HOURS} hours.",
        ),
    ] = 24


def check_lists(body: WebhookFields | UpdateWebhookFields) -> None:
    """Reject lists that are empty or too long.

    Raises:
        ValidationFailed: a list is empty or too long.
    """
    for field, limit in _LISTS.items():
        values: Sequence[str] | msgspec.UnsetType | None = getattr(body, field)
        if values is None or values is msgspec.UNSET:
            continue
        if not 1 <= len(values) <= limit:
            what = "values" if field == "events" else "values, or null for all"
            raise invalid(field, f"must be 1 to {limit} {what}, got {len(values)}")
