"""The data of one batch: the rows that it needs, and the rows after its decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec

from prefactor_server.domain.agent_schema_version import SchemaContent
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.runs.agent_span import AgentSpan, SpanPayload

T = TypeVar("T")
LookupKey: TypeAlias = tuple[str | bytes, ...]


class Row(Protocol):
    """A row of any kind: a named tuple in the order of its table's columns."""

    def lookup_keys(self) -> tuple[LookupKey, ...]:
        """Return the keys the row can be looked up by within its account; the first is primary."""
        ...


R = TypeVar("R", bound=Row)


class Registration(NamedTuple):
    """The rows that the registration of a run may find or create.

    ``agent_ref`` is an agent's id or external identifier. ``environment_id`` is None for the
    account's default. The backend loads the agent, the environment, their deployment with its
    current version and schema version, the schema versions with this content or id, and the agent's
    versions with this metadata and one of these schema versions.
    """

    agent_ref: str
    environment_id: str | None
    content_hash: bytes | None
    metadata_hash: bytes | None
    external_identifier: str | None
    agent_schema_version_id: str | None = None


class LimitCount(NamedTuple):
    """How many rows of an owner a limit counts. Commands decide on it, and no backend stores it.

    ``limit`` is ``webhooks``, of the account, or ``raised_alerts``, of a run.
    """

    account_id: str
    limit: str
    owner_id: str
    number: int

    def lookup_keys(self) -> tuple[LookupKey, ...]:
        """Return its key, the limit and the owner."""
        return ((self.limit, self.owner_id),)


class Needs(msgspec.Struct):
    """The rows of one account that a batch needs.

    ``account`` loads the account itself, ``holds`` the legal holds of runs, ``alerts`` raised
    alerts by run and name, ``counts`` the numbers of rows that limits apply to, by limit and owner,
    ``sessions_of`` all sessions of people and tokens, ``rows`` other rows by kind and id. Ids in
    the ``*_in_use`` fields load rows that refer to them: for an agent its deployments, one schema
    version and its latest run; for an environment its deployments; for a deployment its tokens and
    one run.
    """

    keys: set[tuple[str, str]] = set()
    agents: set[str] = set()
    environments: set[str] = set()
    instances: set[str] = set()
    spans: set[str] = set()
    tokens: set[str] = set()
    account: bool = False
    agents_in_use: set[str] = set()
    environments_in_use: set[str] = set()
    deployments_in_use: set[str] = set()
    registrations: set[Registration] = set()
    rows: set[tuple[type[Any], str]] = set()
    holds: set[str] = set()
    alerts: set[tuple[str, str]] = set()
    counts: set[tuple[str, str]] = set()
    sessions_of: set[str] = set()


class Changes(msgspec.Struct, frozen=True, gc=False):
    """The changes of one command. ``closed_runs`` maps runs to the end of their open spans.

    ``counted`` adds to numbers of rows, for later commands: the limit, the owner, the difference.
    """

    inserted: Sequence[Row] = ()
    updated: Sequence[Row] = ()
    deleted: Sequence[Row] = ()
    payloads: Sequence[SpanPayload] = ()
    contents: Sequence[SchemaContent] = ()
    closed_runs: Sequence[tuple[str, int]] = ()
    audit: Sequence[AuditEntry] = ()
    counted: Sequence[tuple[str, str, int]] = ()


class Snapshot:
    """The loaded rows of one account, with the changes decided so far.

    It tracks the inserted, updated and deleted rows, which the backend writes.
    """

    __slots__ = (
        "_changed",
        "_deleted",
        "_new",
        "_rows",
        "audit",
        "closed_runs",
        "contents",
        "imported",
        "loaded",
        "payloads",
    )

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self._rows: dict[tuple[type[Any], LookupKey], Any] = {}
        self._new: dict[type[Any], dict[LookupKey, Any]] = {}
        self._changed: dict[type[Any], dict[LookupKey, Any]] = {}
        self._deleted: dict[type[Any], dict[LookupKey, Any]] = {}
        self.payloads: list[SpanPayload] = []
        self.contents: list[SchemaContent] = []
        self.closed_runs: list[tuple[str, int]] = []
        self.audit: list[AuditEntry] = []
        # Whether the batch is an import, whose events go to no webhook.
        self.imported = False
        self.loaded = rows
        for row in rows:
            self._put(row)

    def get(self, kind: type[R], *key: str | bytes) -> R | None:
        """Return the row with this lookup key, or None; see the ``lookup_keys`` of its class."""
        found: R | None = self._rows.get((kind, key))
        return found

    def is_full(self, limit: str, owner_id: str, most: int) -> bool:
        """Return whether an owner has as many rows as a limit allows."""
        counted = self.get(LimitCount, limit, owner_id)
        return counted is not None and counted.number >= most

    def rows(self, kind: type[R]) -> Sequence[R]:
        """Return every loaded row of a kind."""
        return [
            row
            for (of_kind, key), row in self._rows.items()
            if of_kind is kind and key == row.lookup_keys()[0]
        ]

    def apply(self, changes: Changes) -> None:
        """Apply a command's changes, for later commands and for the backend to write."""
        for row in changes.deleted:
            self._delete(row)
        for row in changes.inserted:
            self.insert(row)
        for row in changes.updated:
            self._update(row)
        for limit, owner_id, difference in changes.counted:
            known = self.get(LimitCount, limit, owner_id)
            if known is not None:
                self._put(known._replace(number=known.number + difference))
        for run_id, at in changes.closed_runs:
            self._close_spans(run_id, at)
        self.payloads += changes.payloads
        self.contents += changes.contents
        self.closed_runs += changes.closed_runs
        self.audit += changes.audit

    def insert(self, row: Row) -> None:
        """Add a new row."""
        self._new.setdefault(type(row), {})[self._put(row)] = row

    def kinds(self) -> set[type[Any]]:
        """Return the kinds of the rows to insert, update or delete."""
        return {*self._new, *self._changed, *self._deleted}

    def new(self, kind: type[R]) -> Sequence[R]:
        """Return the rows of a kind to insert."""
        return tuple(self._new.get(kind, {}).values())

    def changed(self, kind: type[R]) -> Sequence[R]:
        """Return the existing rows of a kind to update, with their new values."""
        return tuple(self._changed.get(kind, {}).values())

    def deleted(self, kind: type[R]) -> Sequence[R]:
        """Return the existing rows of a kind to delete, before any are inserted."""
        return tuple(self._deleted.get(kind, {}).values())

    def _put(self, row: Row) -> LookupKey:
        kind, keys = type(row), row.lookup_keys()
        for key in keys:
            self._rows[kind, key] = row
        return keys[0]

    def _update(self, row: Row) -> None:
        key = self._put(row)
        rows = self._new if key in self._new.get(type(row), {}) else self._changed
        rows.setdefault(type(row), {})[key] = row

    def _delete(self, row: Row) -> None:
        kind, key = type(row), row.lookup_keys()[0]
        for known in row.lookup_keys():
            self._rows.pop((kind, known), None)
        self._changed.get(kind, {}).pop(key, None)
        if self._new.get(kind, {}).pop(key, None) is None:
            self._deleted.setdefault(kind, {})[key] = row

    def _close_spans(self, run_id: str, at: int) -> None:
        # Only spans that this batch names are closed here. The backend closes all stored spans
        # first, and then writes these.
        spans = [row for row in self._rows.values() if isinstance(row, AgentSpan)]
        for span in spans:
            if span.agent_instance_id == run_id:
                closed = span.close_by_termination(at)
                if closed is not span:
                    self._update(closed)


Decide: TypeAlias = Callable[[Mapping[str, Snapshot]], T]
"""A pure function of the snapshots by account id, which leaves its changes in them.

It may be called again, with new snapshots, after a conflict with another writer.
"""
