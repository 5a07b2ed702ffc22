"""Maps rows to tables, and to the arrays of typed tuples in which they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from types import NoneType
from typing import Any, Final, Generic, Literal, get_args, get_origin, get_type_hints

from prefactor_server.domain.account import Account
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import AgentSchemaVersion, SchemaContent
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditEntry, AuditRecord
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.idempotency import IdempotencyKey
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.admin_user_invite import AdminUserInvite
from prefactor_server.domain.people.session import Session
from prefactor_server.domain.people.sign_in_link import SignInLink
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan, SpanPayload
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.alert_review import AlertReview
from prefactor_server.domain.runs.legal_hold import LegalHold
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.domain.runs.quality import InstanceQuality
from prefactor_server.domain.runs.retention_policy import RetentionPolicy
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.storage.base import R
from prefactor_server.storage.batch import LimitCount
from prefactor_server.storage.feed_rows import FeedRow

_SQL_TYPES: Final[Mapping[object, str]] = {
    str: 'text COLLATE "C"',
    int: "bigint",
    bool: "boolean",
    bytes: "bytea",
    float: "double precision",
}


def column_types(kind: type[Any]) -> Mapping[str, str]:
    """Return the SQL type of each column of a kind of row, from the types of its fields."""
    return {name: _sql_type(hint) for name, hint in get_type_hints(kind).items()}


def _tuple_of(columns: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that extracts these columns from a row."""
    take = attrgetter(*columns)
    return take if len(columns) > 1 else lambda row: (take(row),)


class Table(Generic[R]):
    """The table of one kind of row; ``mutable`` are the columns that an update writes.

    A change is written as the row's ``identity``, the revision that it was decided on, and the new
    values of the mutable columns.
    """

    def __init__(
        self,
        kind: type[R],
        name: str,
        mutable: Sequence[str] = (),
        *,
        identity: Sequence[str] = ("account_id", "id"),
        view: str | None = None,
    ) -> None:
        self.kind: type[R] = kind
        self.name = name
        self.view = view or name
        """What lists read: a view, if the table has rows that are not shown."""
        self.mutable = mutable
        self.identity = identity
        self.versioned = bool(mutable)
        """Whether its rows change, and so have a revision."""
        # Every kind of row is a named tuple, which a protocol cannot express.
        shape: Any = kind
        self.columns: Sequence[str] = shape._fields
        self._make: Callable[[Sequence[Any]], R] = shape._make
        self.identify: Callable[[R], tuple[Any, ...]] = _tuple_of(identity)
        self.values: Callable[[R], tuple[Any, ...]] = (
            _tuple_of(mutable) if mutable else lambda _: ()
        )

    @cached_property
    def record(self) -> str:
        """The SQL of a row under the alias ``t`` as one value, with its revision last."""
        columns = [f"t.{column}" for column in self.columns]
        return f"ROW({', '.join([*columns, 't.revision'] if self.versioned else columns)})"

    def row(self, record: Sequence[Any]) -> R:
        """Return the row in a record that begins with the columns."""
        return self._make(record[: len(self.columns)])

    def rows(self, records: Iterable[Sequence[Any]]) -> list[R]:
        """Return the rows in the records of a select over the columns."""
        return [self.row(record) for record in records]

    def ordered(self, rows: Iterable[R]) -> list[R]:
        """Return rows in the order in which every server writes them."""
        return sorted(rows, key=self.identify)


ACCOUNT: Final = Table(Account, "account", ("name", "updated_at"), identity=("id",))
ENVIRONMENT: Final = Table(Environment, "environment", ("name", "updated_at"))
API_TOKEN: Final = Table(ApiToken, "api_token", ("status", "last_used_at", "updated_at"))
AGENT: Final = Table(
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
)
AGENT_SCHEMA_VERSION: Final = Table(AgentSchemaVersion, "agent_schema_version")
AGENT_VERSION: Final = Table(AgentVersion, "agent_version")
AGENT_DEPLOYMENT: Final = Table(
    AgentDeployment, "agent_deployment", ("current_version_id", "updated_at")
)
COUNTERS: Final = (
    "pending_spans",
    "active_spans",
    "complete_spans",
    "failed_spans",
    "cancelled_spans",
)
LAST_SEEN: Final = "last_seen_at"
# The columns of a run that an update replaces. Its span counts and the time of its last span are
# added to instead, so that servers that write spans of one run concurrently do not conflict.
AGENT_INSTANCE: Final = Table(
    AgentInstance,
    "agent_instance",
    [
        column
        for column in AgentInstance._fields[AgentInstance._fields.index("status") :]
        if column not in COUNTERS and column not in {LAST_SEEN, "imported_at"}
    ],
)
AGENT_INSTANCE_QUALITY: Final = Table(
    InstanceQuality, "agent_instance_quality", ("document", "updated_at")
)
AGENT_INSTANCE_METADATA: Final = Table(
    InstanceMetadata, "agent_instance_metadata", ("document", "updated_at")
)
AGENT_SPAN: Final = Table(
    AgentSpan,
    "agent_span",
    ("payload_size", *AgentSpan._fields[AgentSpan._fields.index("status") :]),
    view="visible_span",
)
OTLP_TRACE: Final = Table(
    OtlpTrace,
    "otlp_trace",
    ("agent_instance_id", *OtlpTrace._fields[OtlpTrace._fields.index("is_open") :]),
)
ALERT: Final = Table(Alert, "alert", Alert._fields[Alert._fields.index("title") :])
ALERT_REVIEW: Final = Table(AlertReview, "alert_review", ("after", "updated_at"))
RISK_PROFILE: Final = Table(
    RiskProfile, "risk_profile", RiskProfile._fields[RiskProfile._fields.index("name") :]
)
RETENTION_POLICY: Final = Table(
    RetentionPolicy, "retention_policy", ("rules", "audit_days", "updated_at")
)
ADMIN_USER: Final = Table(
    AdminUser, "admin_user", AdminUser._fields[AdminUser._fields.index("updated_at") :]
)
SESSION: Final = Table(Session, "session", ("last_used_at",))
SIGN_IN_LINK: Final = Table(SignInLink, "sign_in_link", ("used_at",))
ADMIN_USER_INVITE: Final = Table(AdminUserInvite, "admin_user_invite", ("status", "updated_at"))
WEBHOOK: Final = Table(Webhook, "webhook", Webhook._fields[Webhook._fields.index("url") :])
WEBHOOK_DELIVERY: Final = Table(
    WebhookDelivery,
    "webhook_delivery",
    WebhookDelivery._fields[WebhookDelivery._fields.index("status") :],
)
IDEMPOTENCY_KEY: Final = Table(
    IdempotencyKey, "idempotency_key", identity=("account_id", "operation", "key")
)
# Read by batches, and written only by the operator's command line.
LEGAL_HOLD: Final = Table(LegalHold, "legal_hold", identity=("account_id", "agent_instance_id"))
# Counted for batches, and never written.
LIMIT_COUNT: Final = Table(LimitCount, "limit_count")

TABLES: Final[Sequence[Table[Any]]] = (
    ACCOUNT,
    ENVIRONMENT,
    API_TOKEN,
    AGENT,
    AGENT_SCHEMA_VERSION,
    AGENT_VERSION,
    AGENT_DEPLOYMENT,
    AGENT_INSTANCE,
    AGENT_INSTANCE_QUALITY,
    AGENT_INSTANCE_METADATA,
    AGENT_SPAN,
    OTLP_TRACE,
    ALERT,
    ALERT_REVIEW,
    RISK_PROFILE,
    RETENTION_POLICY,
    ADMIN_USER,
    ADMIN_USER_INVITE,
    SESSION,
    SIGN_IN_LINK,
    WEBHOOK,
    WEBHOOK_DELIVERY,
    IDEMPOTENCY_KEY,
)
"""In the order in which they are written."""

DELETED: Final[Sequence[Table[Any]]] = (
    AGENT_DEPLOYMENT,
    API_TOKEN,
    AGENT,
    ENVIRONMENT,
    ALERT,
    ALERT_REVIEW,
    OTLP_TRACE,
    SESSION,
    ADMIN_USER,
)
"""The tables whose rows can be deleted, in the order of deletion."""

# Written with the rows, with ids that the database generates.
AUDIT_ENTRY: Final = Table(AuditRecord, "audit_entry")

_BY_KIND: Final = dict[type[Any], Table[Any]](
    (table.kind, table) for table in (*TABLES, AUDIT_ENTRY)
)

ATTACHMENTS: Final[Mapping[str, type[Any]]] = {
    "span_payload": SpanPayload,
    "schema_content": SchemaContent,
    "audit_entry": AuditEntry,
    "feed_change": FeedRow,
}
"""The rows written in addition to tables, by table."""


def table_for(kind: type[R]) -> Table[R]:
    """Return the table of a kind of row."""
    return _BY_KIND[kind]


def _sql_type(hint: Any) -> str:
    choices = get_args(hint)
    if get_origin(hint) is Literal:
        return _SQL_TYPES[str]
    if NoneType in choices:
        (hint,) = (choice for choice in choices if choice is not NoneType)
        return _sql_type(hint)
    return _SQL_TYPES[hint]
