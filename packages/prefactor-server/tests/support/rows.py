"""Rows and commands with everything filled in, so that a test names only what it is about."""

from itertools import count
from typing import Any

from prefactor_server.commands.agent import CreateAgent
from prefactor_server.commands.agent_instance import (
    FinishInstance,
    StartInstance,
    TerminateInstance,
)
from prefactor_server.commands.agent_instance_register import (
    DeclaredSchema,
    NewIds,
    RegisterInstance,
    VersionMetadata,
)
from prefactor_server.commands.agent_span import CreateSpan, FinishSpan, SpanFacts
from prefactor_server.commands.base import Request
from prefactor_server.domain.agent_schema_version import SchemaContent
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.risk.risk_profile import (
    RiskProfile,
    multipliers_document,
    thresholds_document,
    weights_document,
)
from prefactor_server.domain.runs.agent_instance import AgentInstance, FinishStatus
from prefactor_server.domain.runs.agent_span import RESULT, AgentSpan, SpanPayload, SpanStatus
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.usage import Usage
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery, new_delivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.payloads import encode_document

ACCOUNT = "account-1"
OTHER_ACCOUNT = "account-2"
ENVIRONMENT = "environment-default"
STAGING = "environment-staging"
NOW = 1_700_000_000_000_000
FACTS = SpanFacts(None, True, None, None, None, Usage())

_fresh = count(1)


def fresh(kind: str) -> str:
    """Return an id unique within the test run; later ones sort later."""
    return f"{kind}-{next(_fresh):08}"


def request(
    account_id: str = ACCOUNT,
    *,
    now: int = NOW,
    key: str | None = None,
    fingerprint: bytes = b"same",
) -> Request:
    """A request of an account."""
    return Request(account_id, "token-of-the-caller", now, key, fingerprint)


def principal(account_id: str = ACCOUNT) -> Principal:
    """A caller with an account token."""
    return Principal("token-of-the-caller", account_id, 1, "account", None, None, None, "admin")


def deployed(
    agent_id: str, environment_id: str = ENVIRONMENT, account_id: str = ACCOUNT
) -> Principal:
    """A caller with a deployment token."""
    return Principal(
        "token-of-the-caller", account_id, 1, "agent_deployment", agent_id, environment_id, "d"
    )


def instance(**given: Any) -> AgentInstance:
    """A pending run without spans."""
    return AgentInstance(
        **{
            "id": "run-1",
            "account_id": ACCOUNT,
            "agent_id": "agent-1",
            "agent_version_id": "version-1",
            "agent_schema_version_id": "schema-1",
            "agent_deployment_id": "deployment-1",
            "environment_id": ENVIRONMENT,
            "external_identifier": None,
            "purpose": "live",
            "inserted_at": NOW,
            "status": "pending",
            "started_at": None,
            "finished_at": None,
            "termination_reason": None,
            "pending_spans": 0,
            "active_spans": 0,
            "complete_spans": 0,
            "failed_spans": 0,
            "cancelled_spans": 0,
            "updated_at": NOW,
            **given,
        }
    )


def alert(**given: Any) -> Alert:
    """A raised alert of the run above."""
    return Alert(
        **{
            "id": "alert-1",
            "account_id": ACCOUNT,
            "agent_id": "agent-1",
            "agent_instance_id": "run-1",
            "environment_id": ENVIRONMENT,
            "name": "slow",
            "raised_by": "api",
            "raised_at": NOW,
            "title": "Slow",
            "severity": "warning",
            "status": "raised",
            "cleared_at": None,
            "payload": b"{}",
            "problem": None,
            "summary": None,
            "dismissed": False,
            "version": 1,
            "updated_at": NOW,
            **given,
        }
    )


def span(**given: Any) -> AgentSpan:
    """An active span of the run above."""
    return AgentSpan(
        **{
            "id": "span-1",
            "account_id": ACCOUNT,
            "agent_id": "agent-1",
            "environment_id": ENVIRONMENT,
            "agent_instance_id": "run-1",
            "parent_span_id": None,
            "schema_name": "llm",
            "schema_title": None,
            "inserted_at": NOW,
            "payload_size": 2,
            "payload_problem": None,
            "status": "active",
            "started_at": NOW,
            "finished_at": None,
            "summary": None,
            "flags": 0,
            "result_size": 0,
            "result_problem": None,
            "prompt_tokens": None,
            "completion_tokens": None,
            "total_tokens": None,
            "model": None,
            "tool_name": None,
            "updated_at": NOW,
            **given,
        }
    )


def schema(name: str, account_id: str = ACCOUNT, identifier: str | None = None) -> DeclaredSchema:
    """A declared schema; another name is another content."""
    content = SchemaContent(account_id, name.encode().ljust(16, b"."), 0, f'["{name}"]'.encode())
    return DeclaredSchema(identifier, content, 1)


def metadata(name: str | None = None, **given: Any) -> VersionMetadata:
    """Return the version metadata of a registration."""
    return VersionMetadata(name=name, **given)


def register(run_id: str, agent_ref: str = "my-agent", **given: Any) -> RegisterInstance:
    """Return a registration without version and schema, which may create its agent."""
    account_id = given["request"].account_id if "request" in given else ACCOUNT
    return RegisterInstance(
        **{
            "request": request(),
            "principal": principal(),
            "id": run_id,
            "agent_ref": agent_ref,
            "environment_id": None,
            "metadata": None,
            "schema": None,
            "empty_schema": schema("empty_schema", account_id),
            "update_current_version": True,
            "purpose": "live",
            "external_identifier": None,
            "new_ids": NewIds(fresh("agent"), fresh("schema"), fresh("version"), fresh("deploy")),
            "create_agent": True,
            **given,
        }
    )


def start(run_id: str, **given: Any) -> StartInstance:
    """The start of a run."""
    return StartInstance(
        **{"request": request(), "principal": principal(), "id": run_id, "at": NOW + 1, **given}
    )


def finish(run_id: str, status: FinishStatus = "complete", **given: Any) -> FinishInstance:
    """The end of a run."""
    return FinishInstance(
        **{
            "request": request(),
            "principal": principal(),
            "id": run_id,
            "status": status,
            "at": NOW + 9,
            **given,
        }
    )


def terminate(run_id: str, reason: str = "enough", **given: Any) -> TerminateInstance:
    """The termination of a run."""
    return TerminateInstance(
        **{"request": request(), "principal": principal(), "id": run_id, "reason": reason, **given}
    )


def create_span(span_id: str, run: AgentInstance, **given: Any) -> CreateSpan:
    """The creation of a span in a run that was read before."""
    status: SpanStatus = given.get("status", "active")
    return CreateSpan(
        **{
            "request": request(run.account_id),
            "principal": principal(run.account_id),
            "id": span_id,
            "agent_instance_id": run.id,
            "parent_span_id": None,
            "schema_name": "llm",
            "status": status,
            "started_at": None if status == "pending" else NOW + 2,
            "finished_at": NOW + 3 if status in ("complete", "failed", "cancelled") else None,
            "flags": 0,
            "payload_size": 2,
            "result_size": 0,
            "payloads": (),
            "schema_version_id": run.agent_schema_version_id,
            "facts": FACTS,
            **given,
        }
    )


def finish_span(span_id: str, status: str = "complete", **given: Any) -> FinishSpan:
    """The end of a span."""
    return FinishSpan(
        **{
            "request": request(),
            "principal": principal(),
            "id": span_id,
            "status": status,
            "finished_at": NOW + 5,
            "flags": 0,
            "result_size": 0,
            "payloads": (),
            "facts": FACTS,
            **given,
        }
    )


def create_agent(agent_id: str, external: str | None = None, **given: Any) -> CreateAgent:
    """The creation of an agent."""
    return CreateAgent(
        **{
            "request": request(),
            "id": agent_id,
            "name": agent_id,
            "description": None,
            "external_identifier": external,
            "owner_person_id": None,
            "risk_profile_id": None,
            "team_id": None,
            **given,
        }
    )


def payload(span_id: str, part: int, document: bytes, account_id: str = ACCOUNT) -> SpanPayload:
    """A payload of a span, encoded as the server does."""
    codec, body = encode_document(document)
    return SpanPayload(account_id, span_id, part, codec, body)


def result(span_id: str, document: bytes = b'{"ok":true}') -> SpanPayload:
    """A result payload."""
    return payload(span_id, RESULT, document)


def risk_profile(**given: Any) -> RiskProfile:
    """Return a profile without weights."""
    return RiskProfile(
        **{
            "id": "profile-1",
            "account_id": ACCOUNT,
            "formula": 1,
            "inserted_at": NOW,
            "name": "Profile",
            "description": None,
            "category_weights": weights_document({}),
            "action_multipliers": multipliers_document({}),
            "thresholds": thresholds_document({}),
            "agreed_risk": None,
            "deleted_at": None,
            "updated_at": NOW,
            **given,
        }
    )


def webhook(**given: Any) -> Webhook:
    """Return an enabled webhook for failed runs."""
    return Webhook(
        **{
            "id": "webhook-1",
            "account_id": ACCOUNT,
            "inserted_at": NOW,
            "url": "https://hooks.example.org/in",
            "description": None,
            "events": '["run.failed"]',
            "agent_ids": None,
            "environment_ids": None,
            "purposes": None,
            "status": "enabled",
            "disabled_reason": None,
            "enabled_at": NOW,
            "secret": b"",
            "previous_secret": None,
            "previous_secret_until": 0,
            "failures": 0,
            "failing_since": None,
            "not_before": 0,
            "deleted_at": None,
            "updated_at": NOW,
            **given,
        }
    )


def webhook_delivery(**given: Any) -> WebhookDelivery:
    """A delivery of a failed run that is due."""
    made = new_delivery(
        webhook(),
        run_id="run-1",
        event_id="evt_1",
        event_type="run.failed",
        body=b'{"type":"run.failed"}',
        inserted_at=NOW,
        now=NOW,
    )
    return made._replace(**given)
