"""What a storage backend is: one way to write, and named reads.

Every write of the server is one batch:
    load    the rows that the batch's commands name, one query per table
    decide  a pure function over those rows, handed in by the caller
    write   set-based statements for everything that changed
    commit
A backend runs these four steps in one transaction, and again from the start when another writer
got in between. It knows nothing of commands; the decision knows nothing of databases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from prefactor_server.domain.account import Account
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.agent_schema_version import SchemaContent
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.listing import Listing, Page
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_rollup import AgentTypes
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_instance_skeleton import SpanOutline
from prefactor_server.domain.runs.agent_span import AgentSpan, SpanPayload
from prefactor_server.domain.runs.found_alert import WatchedRuns
from prefactor_server.storage.find import RunFinder

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

    ``agent_ref`` is an agent's id or external identifier, ``environment_id`` None for the account's
    default. The backend loads the agent, the environment, their deployment with its current version
    and that one's schema version, the schema versions of this content and of this id, and the
    agent's versions of this metadata with any of these schema versions.
    """

    agent_ref: str
    environment_id: str | None
    content_hash: bytes | None
    metadata_hash: bytes | None
    external_identifier: str | None
    agent_schema_version_id: str | None = None


@dataclass(slots=True)
class Needs:
    """The rows of one account that a batch names.

    ``account`` asks for the account itself, ``holds`` for the legal holds of runs, ``alerts`` for
    raised alerts by run and name, ``rows`` for others by kind and id. With each of
    ``agents_in_use``, which are ids, come all of its deployments, one of its schema versions and
    the latest of its runs; with each of ``environments_in_use`` all of its deployments; with each
    of ``deployments_in_use`` all of its tokens, and one of its runs.
    """

    keys: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    agents: set[str] = field(default_factory=set[str])
    environments: set[str] = field(default_factory=set[str])
    instances: set[str] = field(default_factory=set[str])
    spans: set[str] = field(default_factory=set[str])
    tokens: set[str] = field(default_factory=set[str])
    account: bool = False
    agents_in_use: set[str] = field(default_factory=set[str])
    environments_in_use: set[str] = field(default_factory=set[str])
    deployments_in_use: set[str] = field(default_factory=set[str])
    registrations: set[Registration] = field(default_factory=set[Registration])
    rows: set[tuple[type[Any], str]] = field(default_factory=set[tuple[type[Any], str]])
    holds: set[str] = field(default_factory=set[str])
    alerts: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


class Changes(NamedTuple):
    """What one command does to the rows. ``closed_runs`` ends all open spans of a run at a time."""

    inserted: Sequence[Row] = ()
    updated: Sequence[Row] = ()
    deleted: Sequence[Row] = ()
    payloads: Sequence[SpanPayload] = ()
    contents: Sequence[SchemaContent] = ()
    closed_runs: Sequence[tuple[str, int]] = ()
    audit: Sequence[AuditEntry] = ()


class Snapshot:
    """The loaded rows of one account, as the decisions so far have left them.

    It also remembers what became new, what changed and what went: that is what the backend writes.
    """

    __slots__ = (
        "_changed",
        "_deleted",
        "_new",
        "_rows",
        "audit",
        "closed_runs",
        "contents",
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
        for row in rows:
            self._put(row)

    def get(self, kind: type[R], *key: str | bytes) -> R | None:
        """Return the row with this lookup key, or None; see the ``lookup_keys`` of its class."""
        found: R | None = self._rows.get((kind, key))
        return found

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
        for run_id, at in changes.closed_runs:
            self._close_spans(run_id, at)
        self.payloads += changes.payloads
        self.contents += changes.contents
        self.closed_runs += changes.closed_runs
        self.audit += changes.audit

    def insert(self, row: Row) -> None:
        """Add a new row."""
        self._new.setdefault(type(row), {})[self._put(row)] = row

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
        # Only the spans that this batch names have to be seen closed by it; the backend closes the
        # stored ones first, and then writes these as they are here.
        spans = [row for row in self._rows.values() if isinstance(row, AgentSpan)]
        for span in spans:
            if span.agent_instance_id == run_id:
                closed = span.close_by_termination(at)
                if closed is not span:
                    self._update(closed)


Decide: TypeAlias = Callable[[Mapping[str, Snapshot]], T]
"""A pure function from account id to snapshot, leaving its changes in the snapshots.

It may be called again, with fresh snapshots, when another writer got in between.
"""


class SpanRecord(NamedTuple):
    """A span with its payloads as JSON; ``result`` is None when none was recorded."""

    span: AgentSpan
    payload: bytes
    result: bytes | None


class AgentRecord(NamedTuple):
    """An agent, with when its latest run was registered, and whether anything refers to it."""

    agent: Agent
    last_registered_at: int | None
    in_use: bool = False

    def lookup_keys(self) -> tuple[LookupKey, ...]:
        """Return the lookup keys of the agent."""
        return self.agent.lookup_keys()


class CurrentVersion(NamedTuple):
    """A deployment of an agent, and the version that is current there with its schema version."""

    agent_deployment_id: str
    agent_version_id: str
    agent_schema_version_id: str


class SpanUsage(NamedTuple):
    """How many spans of a type, with one model, a run has, and the tokens that they tell of.

    ``counted_spans`` tell of any tokens, ``split_spans`` of prompt or completion tokens. The sums
    may be inexact. ``last_activity_at`` is when the last of them started or finished.
    """

    agent_instance_id: str
    schema_name: str
    model: str | None
    spans: int
    counted_spans: int
    split_spans: int
    prompt_tokens: float
    completion_tokens: float
    last_activity_at: int | None = None


class InstanceCounts(NamedTuple):
    """How many runs an agent has, by status."""

    pending: int = 0
    active: int = 0
    complete: int = 0
    failed: int = 0
    cancelled: int = 0
    terminated: int = 0


class Storage(Protocol):
    """One database. Every read names the account whose rows it may see.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot take writes now.
    """

    @property
    def finder(self) -> RunFinder:
        """The bounded reads."""
        ...

    async def transact(self, needs: Mapping[str, Needs], decide: Decide[T]) -> T:
        """Load the rows, call ``decide``, write its changes, commit, and return its value.

        On return the changes are durable and visible to every reader. If it raises, nothing was
        changed, except that ``OutcomeUnknown`` leaves it open. ``Contended`` means that other
        writers won every attempt; a smaller batch may still succeed.
        """
        ...

    async def create_account(
        self, account: Account, environment: Environment, token: ApiToken, audit: AuditEntry
    ) -> bool:
        """Create the first account, or return False because there is one already."""
        ...

    async def forget_keys(self, before: int, slice_size: int) -> int:
        """Forget idempotency keys used before a time, a slice at a time; returns how many."""
        ...

    async def accounts(self) -> Sequence[Account]:
        """All accounts, oldest first. For the operator's command line only."""
        ...

    async def identifier_counts(
        self, kind: type[Row], account_id: str, agent_id: str, identifiers: Collection[str]
    ) -> Mapping[str, int]:
        """How many versions, or schema versions, of an agent have each external identifier."""
        ...

    async def current_versions(self, account_id: str, agent_id: str) -> Sequence[CurrentVersion]:
        """What is current in each deployment of an agent that has a current version."""
        ...

    async def account(self, account_id: str) -> Account | None:
        """An account by its id."""
        ...

    async def token_by_hash(self, token_hash: bytes) -> tuple[ApiToken, Account] | None:
        """The token with this hash, and its account: the one read that names no account."""
        ...

    async def tokens(self, account_id: str) -> Sequence[ApiToken]:
        """All tokens of an account, oldest first."""
        ...

    async def agent(self, account_id: str, ref: str) -> AgentRecord | None:
        """An agent by its id or its external identifier."""
        ...

    async def agents(self, account_id: str, listing: Listing) -> Page[AgentRecord]:
        """A page of agents. A filter on ``environment_id`` keeps those that are deployed there."""
        ...

    async def instance_counts(
        self, account_id: str, agent_id: str, environment_id: str | None
    ) -> InstanceCounts:
        """An agent's runs by status, in one environment or in all."""
        ...

    async def instance(self, account_id: str, instance_id: str) -> AgentInstance | None:
        """A run by its id."""
        ...

    async def skeleton(self, account_id: str, instance_id: str) -> Sequence[SpanOutline]:
        """All spans of a run, without payloads, in any order."""
        ...

    async def instances(self, account_id: str, listing: Listing) -> Page[AgentInstance]:
        """A page of runs."""
        ...

    async def span(self, account_id: str, span_id: str) -> SpanRecord | None:
        """A span with its payloads."""
        ...

    async def spans_by_id(self, account_id: str, ids: Collection[str]) -> Sequence[SpanRecord]:
        """Return the existing spans among ``ids``, with payloads, in no particular order."""
        ...

    async def spans(self, account_id: str, listing: Listing) -> Page[SpanRecord]:
        """A page of spans with their payloads."""
        ...

    async def span_usage(self, account_id: str, run_ids: Sequence[str]) -> Sequence[SpanUsage]:
        """The spans of runs, counted by run, type and model."""
        ...

    async def risk_profiles_of(
        self, account_id: str, agent_ids: Sequence[str]
    ) -> Mapping[str, RiskProfile]:
        """The profiles of agents, by agent; deleted ones are left out."""
        ...

    async def watched_runs(self, account_id: str, since: int, limit: int) -> WatchedRuns:
        """Return the newest runs since a time that ended badly, and those that have a profile."""
        ...

    async def agent_types(
        self, account_id: str, agent_id: str, environment_id: str | None
    ) -> AgentTypes:
        """What is current for an agent, and what its spans are, in one environment or in all."""
        ...

    async def row(self, kind: type[R], account_id: str, row_id: str) -> R | None:
        """Return a row by its id, or None."""
        ...

    async def rows(self, kind: type[R], account_id: str, listing: Listing) -> Page[R]:
        """Return a page of rows of a kind."""
        ...

    async def schema_content(self, account_id: str, schema_version_id: str) -> bytes | None:
        """The JSON of the span types that a schema version declares."""
        ...

    async def close(self) -> None:
        """Finish pending writes and close the database."""
        ...
