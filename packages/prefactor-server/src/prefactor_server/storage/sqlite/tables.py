"""Maps rows to tables, and to the statements that insert and update them.

A row is a tuple in the order of its table's columns, so it can be bound directly. A test compares
the two orders.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, Generic, get_type_hints

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
from prefactor_server.storage.base import R
from prefactor_server.storage.feed_rows import STATE_COLUMNS
from prefactor_server.storage.sqlite.statements import Statement


def _with_booleans(shape: Any) -> Callable[[Sequence[Any]], Any]:
    """Return a function that makes a row from a record, converting 0 and 1 to booleans."""
    make: Callable[[Sequence[Any]], Any] = shape._make
    kinds = get_type_hints(shape)
    places = [place for place, column in enumerate(shape._fields) if kinds[column] is bool]
    if not places:
        return make

    def made(record: Sequence[Any]) -> Any:
        values = list(record)
        for place in places:
            values[place] = bool(values[place])
        return make(values)

    return made


class Table(Generic[R]):
    """The table of one kind of row; ``mutable`` are the columns that an update writes.

    ``view`` has the rows that may be shown, and is the table itself where nothing is ever hidden.
    ``select`` reads from it, and ``select_all`` from the table.
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
        # Every kind of row is a named tuple, which a protocol cannot express.
        shape: Any = kind
        self.columns: Sequence[str] = shape._fields
        self._make: Callable[[Sequence[Any]], R] = _with_booleans(shape)
        # A column called "partition" or "key" is fine in SQLite, but quoting costs nothing.
        listed = ", ".join(f'"{column}"' for column in self.columns)
        self.select = f"SELECT {listed} FROM {self.view}"  # noqa: S608 - our own names
        self.select_all = f"SELECT {listed} FROM {name}"  # noqa: S608
        self.insert = Statement(
            len(self.columns),
            f"INSERT INTO {name} ({listed}) VALUES {{rows}}",  # noqa: S608
        )
        self.update = _update(name, mutable, identity) if mutable else None
        found = " AND ".join(f"{column} = ?" for column in identity)
        self.delete = f"DELETE FROM {name} WHERE {found}"  # noqa: S608
        self._update_values: Callable[[R], tuple[Any, ...]] | None = (
            attrgetter(*mutable, *identity) if mutable else None
        )
        self._identity: Callable[[R], Sequence[Any]] = lambda row: [
            getattr(row, column) for column in identity
        ]

    def rows(self, records: Iterable[Sequence[Any]]) -> list[R]:
        """Return the rows in the records of a select over ``columns``."""
        return [self._make(record) for record in records]

    def run_update(self, connection: sqlite3.Connection, rows: Iterable[R]) -> None:
        """Write the mutable columns of existing rows."""
        if self.update is None or self._update_values is None:
            raise TypeError(f"rows of {self.name} never change")
        self.update.run(connection, [self._update_values(row) for row in rows])

    def delete_parameters(self, rows: Iterable[R]) -> list[Sequence[Any]]:
        """Return the parameters of a delete of these rows."""
        return [self._identity(row) for row in rows]


def _update(name: str, mutable: Sequence[str], identity: Sequence[str]) -> Statement:
    """Return the statement that writes the mutable columns of rows, found by identity."""
    changed = ", ".join([*mutable, *identity])
    assignments = ", ".join(f"{column} = change.{column}" for column in mutable)
    found = " AND ".join(f"{name}.{column} = change.{column}" for column in identity)
    # For many rows, SQLite collects the changes in a temporary table first.
    values = ", ".join(f"{column} = ?" for column in mutable)
    named = " AND ".join(f"{column} = ?" for column in identity)
    return Statement(
        len(mutable) + len(identity),
        f"WITH change ({changed}) AS (VALUES {{rows}}) "  # noqa: S608
        f"UPDATE {name} SET {assignments} FROM change WHERE {found}",
        one=f"UPDATE {name} SET {values} WHERE {named}",  # noqa: S608
    )


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
_MUTABLE_OF_RUN: Final = AgentInstance._fields[
    AgentInstance._fields.index("status") : AgentInstance._fields.index("imported_at")
]
AGENT_INSTANCE: Final = Table(AgentInstance, "agent_instance", _MUTABLE_OF_RUN)
COUNTED_RUN: Final = Table(
    AgentInstance,
    "agent_instance",
    [column for column in _MUTABLE_OF_RUN if column not in STATE_COLUMNS],
)
"""The same table, for runs whose spans were counted and nothing else.

An update writes an entry of every index over a column that it names, even if the value is the same.
"""
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
IDEMPOTENCY_KEY: Final = Table(IdempotencyKey, "idempotency_key")
# Read by batches, and written only by the operator's command line.
LEGAL_HOLD: Final = Table(LegalHold, "legal_hold")

# Written in this order: rows precede the rows that refer to them, and the counters on the run's row
# are written by one statement per batch.
WRITTEN: Final[Sequence[Table[Any]]] = (
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

# Written with the rows, with ids that the database generates.
AUDIT_ENTRY: Final = Table(AuditRecord, "audit_entry")

_BY_KIND: Final = dict[type[Any], Table[Any]](
    (table.kind, table) for table in (*WRITTEN, AUDIT_ENTRY)
)


def table_for(kind: type[R]) -> Table[R]:
    """Return the table of a kind of row."""
    return _BY_KIND[kind]
