"""Maps rows to tables, and to the arrays of typed tuples in which they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from types import NoneType
from typing import Any, Final, Generic, Literal, get_args, get_origin, get_type_hints

from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.agent_schema_version import SchemaContent
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.people.session import Session
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import SpanPayload
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.alert_review import AlertReview
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.storage import tables
from prefactor_server.storage.base import R
from prefactor_server.storage.batch import LimitCount
from prefactor_server.storage.feed_rows import FeedRow
from prefactor_server.storage.tables import TableDefinition

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
    """The table of one kind of row; see ``TableDefinition``.

    A change is written as the row's ``identity``, the revision that it was decided on, and the new
    values of the mutable columns.
    """

    def __init__(self, definition: TableDefinition) -> None:
        kind, name, mutable, identity, view = definition
        self.kind: type[R] = kind
        self.name = name
        self.view = view or name
        """What lists read: a view, if the table has rows that are not shown."""
        self.mutable = mutable
        self.identity = identity
        self.versioned = bool(mutable)
        """Whether its rows change, and so have a revision."""
        self.columns: Sequence[str] = kind._fields
        self._make: Callable[[Sequence[Any]], R] = kind._make
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


COUNTERS: Final = (
    "pending_spans",
    "active_spans",
    "complete_spans",
    "failed_spans",
    "cancelled_spans",
)
LAST_SEEN: Final = "last_seen_at"
# An update merges these columns of a run with the stored ones instead of replacing them, so that
# servers that write spans of one run concurrently do not conflict.
_MERGED: Final = frozenset({*COUNTERS, LAST_SEEN})


def _table(definition: TableDefinition) -> Table[Any]:
    if definition.kind is AgentInstance:
        replaced = [column for column in definition.mutable if column not in _MERGED]
        return Table(definition._replace(mutable=replaced))
    return Table(definition)


TABLES: Final = tuple(map(_table, tables.TABLES))
"""The tables that batches write, in this order."""

_READ_ONLY: Final = (
    *map(_table, tables.READ_ONLY_TABLES),
    # Counted for batches. There is no such table.
    Table[Any](TableDefinition(LimitCount, "limit_count")),
)
_BY_KIND: Final = {table.kind: table for table in (*TABLES, *_READ_ONLY)}


def table_for(kind: type[R]) -> Table[R]:
    """Return the table of a kind of row."""
    return _BY_KIND[kind]


DELETED: Final = tuple(
    table_for(kind)
    for kind in (
        AgentDeployment,
        ApiToken,
        Agent,
        Environment,
        Alert,
        AlertReview,
        OtlpTrace,
        Session,
        AdminUser,
    )
)
"""The tables whose rows can be deleted, in the order of deletion."""

ATTACHMENTS: Final[Mapping[str, type[Any]]] = {
    "span_payload": SpanPayload,
    "schema_content": SchemaContent,
    "audit_entry": AuditEntry,
    "feed_change": FeedRow,
}
"""The rows written in addition to tables, by table."""


def _sql_type(hint: Any) -> str:
    choices = get_args(hint)
    if get_origin(hint) is Literal:
        return _SQL_TYPES[str]
    if NoneType in choices:
        (hint,) = (choice for choice in choices if choice is not NoneType)
        return _sql_type(hint)
    return _SQL_TYPES[hint]
