"""The tables of stored rows: the part that both backends share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from prefactor_server.domain.account import Account
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditRecord
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.idempotency import IdempotencyKey
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.domain.people.session import Session
from prefactor_server.domain.people.sign_in_link import SignInLink
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.alert_review import AlertReview
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.domain.runs.retention_policy import RetentionPolicy
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook


class TableDefinition(NamedTuple):
    """The table of one kind of row, a named tuple in the order of the table's columns.

    ``mutable`` are the columns that an update writes, and ``identity`` those by which it finds a
    row. ``view`` has the rows that may be shown; None if no row is ever hidden.
    """

    # A protocol cannot express that it is a named tuple.
    kind: Any
    name: str
    mutable: Sequence[str] = ()
    identity: Sequence[str] = ("account_id", "id")
    view: str | None = None


def _columns_from(kind: Any, first: str) -> tuple[str, ...]:
    columns: tuple[str, ...] = kind._fields
    return columns[columns.index(first) :]


TABLES: Final[Sequence[TableDefinition]] = (
    TableDefinition(Account, "account", ("name", "updated_at"), identity=("id",)),
    TableDefinition(Environment, "environment", ("name", "updated_at")),
    TableDefinition(ApiToken, "api_token", ("status", "last_used_at", "updated_at")),
    TableDefinition(
        Agent,
        "agent",
        (
            "name",
            "description",
            "owner_person_id",
            "risk_profile_id",
            "team_id",
            "retired_at",
            "updated_at",
            "run_cost_limit",
        ),
    ),
    TableDefinition(AgentSchemaVersion, "agent_schema_version"),
    TableDefinition(AgentVersion, "agent_version"),
    TableDefinition(AgentDeployment, "agent_deployment", ("current_version_id", "updated_at")),
    TableDefinition(
        AgentInstance,
        "agent_instance",
        [one for one in _columns_from(AgentInstance, "status") if one != "imported_at"],
    ),
    TableDefinition(InstanceQuality, "agent_instance_quality", ("document", "updated_at")),
    TableDefinition(InstanceMetadata, "agent_instance_metadata", ("document", "updated_at")),
    TableDefinition(
        AgentSpan,
        "agent_span",
        ("payload_size", *_columns_from(AgentSpan, "status")),
        view="visible_span",
    ),
    TableDefinition(
        OtlpTrace, "otlp_trace", ("agent_instance_id", *_columns_from(OtlpTrace, "is_open"))
    ),
    TableDefinition(Alert, "alert", _columns_from(Alert, "title")),
    TableDefinition(AlertReview, "alert_review", ("after", "updated_at")),
    TableDefinition(RiskProfile, "risk_profile", _columns_from(RiskProfile, "name")),
    TableDefinition(RetentionPolicy, "retention_policy", ("rules", "audit_days", "updated_at")),
    TableDefinition(AdminUser, "admin_user", _columns_from(AdminUser, "updated_at")),
    TableDefinition(AdminUserInvite, "admin_user_invite", ("status", "updated_at")),
    TableDefinition(Session, "session", ("last_used_at",)),
    TableDefinition(SignInLink, "sign_in_link", ("used_at",)),
    TableDefinition(Webhook, "webhook", _columns_from(Webhook, "url")),
    TableDefinition(WebhookDelivery, "webhook_delivery", _columns_from(WebhookDelivery, "status")),
    TableDefinition(IdempotencyKey, "idempotency_key", identity=("account_id", "operation", "key")),
)
"""The tables that batches write, in this order: rows precede the rows that refer to them."""

READ_ONLY_TABLES: Final[Sequence[TableDefinition]] = (
    # Batches write it by its own statement, because the database generates the ids.
    TableDefinition(AuditRecord, "audit_entry"),
    # Only the operator's command line writes it.
    TableDefinition(LegalHold, "legal_hold", identity=("account_id", "agent_instance_id")),
)
"""Tables with rows that batches or lists read, and that are not written as rows."""
