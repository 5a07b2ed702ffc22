"""A webhook: a URL that receives events of runs.

create              → enabled
enabled   update    → disabled          (by an operator)
enabled   failing   → disabled          (nothing was delivered for three days, or 410 Gone)
disabled  update    → enabled
any       delete    : final; the row is kept without its secrets
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.runs.agent_instance import AgentInstance, Purpose
from prefactor_server.domain.times import DAY_US

WebhookEvent: TypeAlias = Literal[
    "run.finished",
    "run.failed",
    "run.terminated",
    "risk.exceeded",
    "cost.exceeded",
    "quality.recorded",
]
WebhookStatus: TypeAlias = Literal["enabled", "disabled"]

EVENTS: Final[tuple[WebhookEvent, ...]] = get_args(WebhookEvent)
TEST_EVENT: Final = "webhook.test"
"""The event of a test delivery. No webhook subscribes to it, and any webhook may receive it."""
PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)

MAX_WEBHOOKS: Final = 50
"""The most webhooks an account may have. Each event is compared with all of them."""
MAX_FILTER_VALUES: Final = 100
GIVE_UP_US: Final = 3 * DAY_US
"""How long a delivery is retried, and how long a webhook may fail before it is disabled."""

FAILING: Final = "nothing was delivered for three days"
GONE: Final = "the receiver answered 410 Gone"


class Webhook(NamedTuple):
    """One webhook.

    ``events`` and the filters are JSON lists; a filter of None matches every run. ``secret`` and
    ``previous_secret`` are encrypted; the previous one also signs until ``previous_secret_until``.
    ``enabled_at`` is when it was last enabled. ``failures`` counts failed attempts since the last
    success, ``failing_since`` is the time of the first one, and nothing is sent before
    ``not_before``.
    """

    id: str
    account_id: str
    inserted_at: int
    url: str
    description: str | None
    events: str
    agent_ids: str | None
    environment_ids: str | None
    purposes: str | None
    status: WebhookStatus
    disabled_reason: str | None
    enabled_at: int
    secret: bytes
    previous_secret: bytes | None
    previous_secret_until: int
    failures: int
    failing_since: int | None
    not_before: int
    deleted_at: int | None
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)

    def enable(self, now: int) -> Webhook:
        """Return the webhook, enabled and without its failures."""
        if self.status == "enabled":
            return self
        return self._replace(
            status="enabled",
            disabled_reason=None,
            enabled_at=now,
            failures=0,
            failing_since=None,
            not_before=0,
        )

    def disable(self, reason: str | None) -> Webhook:
        """Return the webhook, disabled. ``reason`` is None if an operator disabled it."""
        if self.status == "disabled":
            return self
        return self._replace(status="disabled", disabled_reason=reason)

    def rotate(self, secret: bytes, now: int, overlap_us: int) -> Webhook:
        """Return the webhook with a new secret; the previous one also signs for ``overlap_us``."""
        return self._replace(
            secret=secret,
            previous_secret=self.secret if overlap_us else None,
            previous_secret_until=now + overlap_us if overlap_us else 0,
            updated_at=now,
        )

    def delete(self, now: int) -> Webhook:
        """Return the webhook, marked as deleted and without its secrets."""
        return self.disable(None)._replace(
            secret=b"",
            previous_secret=None,
            previous_secret_until=0,
            deleted_at=now,
            updated_at=now,
        )


class Subscription:
    """The events and filters of an enabled webhook, parsed once for many events."""

    __slots__ = ("_agents", "_environments", "_events", "_purposes", "webhook")

    def __init__(self, webhook: Webhook) -> None:
        self.webhook = webhook
        self._events = frozenset(read_list(webhook.events) or ())
        self._agents = _chosen(webhook.agent_ids)
        self._environments = _chosen(webhook.environment_ids)
        self._purposes = _chosen(webhook.purposes)

    def wants(self, event: str, run: AgentInstance, at: int) -> bool:
        """Return whether the webhook receives an event of a run.

        Events from before the webhook was enabled are not sent, even if they are derived later.
        """
        return (
            event in self._events
            and at >= self.webhook.enabled_at
            and (self._agents is None or run.agent_id in self._agents)
            and (self._environments is None or run.environment_id in self._environments)
            and (self._purposes is None or run.purpose in self._purposes)
        )


def require_webhook(webhook: Webhook | None, webhook_id: str) -> Webhook:
    """Return the webhook.

    Raises:
        NotFound: it is missing or deleted.
    """
    if webhook is None or webhook.deleted_at is not None:
        raise NotFound(f"Webhook {webhook_id!r} not found")
    return webhook


def list_document(values: Collection[str]) -> str:
    """Return a list in its stored form: distinct values, sorted."""
    return json.dumps(sorted(set(values)), separators=(",", ":"))


def read_list(document: str | None) -> Sequence[str] | None:
    """Parse a stored list. None stays None."""
    if document is None:
        return None
    values: list[str] = json.loads(document)
    return values


def _chosen(document: str | None) -> frozenset[str] | None:
    values = read_list(document)
    return None if values is None else frozenset(values)
