"""The body of an event: its type, its time and the fields of its run, without any payload.

Values that an agent recorded are not sent. A receiver reads them from the API, with a token and its
permissions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.domain.runs.webhooks.webhook import TEST_EVENT, Webhook
from prefactor_server.domain.times import format_time


def run_event(event: str, at: int, run: AgentInstance, public_url: str, **more: Any) -> bytes:
    """Return the body of an event of a run."""
    data: dict[str, Any] = {"account_id": run.account_id, "run": _run(run, public_url)}
    return _body(event, at, data | more)


def alert_data(alert: Alert) -> Mapping[str, Any]:
    """Return the data of an event about one of the server's own alerts."""
    return {
        "id": alert.id,
        "name": alert.name,
        "title": alert.title,
        "severity": alert.severity,
        "raised_at": format_time(alert.raised_at),
        "payload": json.loads(alert.payload),
    }


def quality_data(quality: InstanceQuality | None) -> Mapping[str, Any]:
    """Return the data of an event about the quality of a run: the names of its evaluations."""
    return {"names": [] if quality is None else sorted(quality.entries())}


def test_event(webhook: Webhook, at: int) -> bytes:
    """Return the body of a test."""
    return _body(TEST_EVENT, at, {"account_id": webhook.account_id, "webhook_id": webhook.id})


def _body(event: str, at: int, data: Mapping[str, Any]) -> bytes:
    document = {"type": event, "timestamp": format_time(at), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _run(run: AgentInstance, public_url: str) -> Mapping[str, Any]:
    return {
        "id": run.id,
        "agent_id": run.agent_id,
        "agent_version_id": run.agent_version_id,
        "environment_id": run.environment_id,
        "external_identifier": run.external_identifier,
        "purpose": run.purpose,
        "status": run.status,
        "termination_reason": run.termination_reason,
        "ended_by": run.ended_by,
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "span_counts": {
            "total": run.span_total,
            "failed": run.failed_spans,
        },
        "url": f"{public_url.rstrip('/')}/#/run/{run.id}" if public_url else None,
    }


def _time(us: int | None) -> str | None:
    return None if us is None else format_time(us)
