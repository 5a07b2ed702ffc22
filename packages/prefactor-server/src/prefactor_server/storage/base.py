"""The interface of a storage backend: one way to write, and named reads.

Every write of the server is one batch:
    load    the rows that the batch's commands need
    decide  a pure function of these rows, passed by the caller
    write   set-based statements for everything that changed
    commit
A backend runs these four steps in one transaction, and starts again if another writer interfered.
It knows nothing of commands, and the decision knows nothing of databases.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from prefactor_server.domain.account import Account
from prefactor_server.domain.agent import Agent
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.audit import AuditEntry
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.listing import LAST_RUN_AT, Cursor, Listing, Page
from prefactor_server.domain.people.admin_user import AdminUser
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_rollup import AgentTypes
from prefactor_server.domain.runs.agent_instance import AgentInstance, InstanceCounts
from prefactor_server.domain.runs.agent_instance_skeleton import SpanOutline
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.storage.batch import (
    Changes,
    Decide,
    LookupKey,
    Needs,
    R,
    Registration,
    Row,
    Snapshot,
)
from prefactor_server.storage.facets import Facets, SpanTexts
from prefactor_server.storage.feed import Feed
from prefactor_server.storage.heartbeats import Heartbeats
from prefactor_server.storage.maintenance import Maintenance
from prefactor_server.storage.run_totals import RunTotals
from prefactor_server.storage.search import SearchIndex
from prefactor_server.storage.series import SeriesStorage
from prefactor_server.storage.standby import StandbyUse
from prefactor_server.storage.webhooks import WebhookStorage

__all__ = [
    "AgentRecord",
    "Changes",
    "CurrentVersion",
    "Decide",
    "InstanceCounts",
    "LookupKey",
    "Needs",
    "R",
    "Registration",
    "Row",
    "Snapshot",
    "SpanRecord",
    "SpanTexts",
    "SpanUsage",
    "Storage",
]

T = TypeVar("T")


class SpanRecord(NamedTuple):
    """A span with its payloads as JSON. ``result`` is None if there is no result payload."""

    span: AgentSpan
    payload: bytes
    result: bytes | None


class AgentRecord(NamedTuple):
    """An agent, the time of its latest registration, and whether anything refers to it."""

    agent: Agent
    last_registered_at: int | None
    in_use: bool = False

    def lookup_keys(self) -> tuple[LookupKey, ...]:
        """Return the lookup keys of the agent."""
        return self.agent.lookup_keys()


def after_agent(
    listing: Listing, found: Sequence[AgentRecord], following: Cursor | None
) -> Cursor | None:
    """Return the start of the page after these agents, with its value if it is their activity."""
    if following is None or listing.sort.field != LAST_RUN_AT:
        return following
    return following._replace(value=found[-1].last_registered_at)


class CurrentVersion(NamedTuple):
    """A deployment of an agent, and its current version and schema version."""

    agent_deployment_id: str
    agent_version_id: str
    agent_schema_version_id: str


class SpanUsage(NamedTuple):
    """The spans of a run with one type and model: their number and their tokens.

    ``counted_spans`` have any token count, ``split_spans`` have prompt or completion tokens. The
    sums may be inexact. ``last_activity_at`` is when the last of them started or finished.
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


class Storage(Protocol):
    """One database. Every read is restricted to one account.

    Raises from every method:
        Unavailable: the database is unreachable, or cannot write now.
    """

    @property
    def maintenance(self) -> Maintenance:
        """The maintenance of the whole database."""
        ...

    @property
    def facets(self) -> Facets:
        """The counts of runs for facets."""
        ...

    @property
    def run_totals(self) -> RunTotals:
        """The totals of runs."""
        ...

    @property
    def search(self) -> SearchIndex:
        """The search index."""
        ...

    @property
    def series(self) -> SeriesStorage:
        """The reads for series."""
        ...

    @property
    def webhooks(self) -> WebhookStorage:
        """The webhooks and their outbox."""
        ...

    @property
    def feed(self) -> Feed:
        """The change feed, and the writes of derived rows."""
        ...

    @property
    def heartbeats(self) -> Heartbeats:
        """The heartbeats of runs."""
        ...

    @property
    def standby(self) -> StandbyUse | None:
        """The use of a standby for reads, if the settings name one."""
        ...

    async def transact(self, needs: Mapping[str, Needs], decide: Decide[T]) -> T:
        """Load the rows, call ``decide``, write its changes, commit, and return its value.

        On return the changes are durable and visible to every reader. If it raises, nothing was
        changed, except after ``OutcomeUnknown``, when the changes may have been stored.
        ``Contended`` means that other writers won every attempt; a smaller batch may still succeed.
        If the database may have a standby, the current position advances to one that contains the
        changes, and everything that ``decide`` saw.
        """
        ...

    async def create_account(
        self, account: Account, environment: Environment, token: ApiToken, audit: AuditEntry
    ) -> bool:
        """Create the first account, or return False if there is one already."""
        ...

    async def forget_keys(self, before: int, slice_size: int) -> int:
        """Delete a slice of the idempotency keys used before a time; return how many."""
        ...

    async def accounts(self) -> Sequence[Account]:
        """Return all accounts, oldest first. Only for the operator's command line."""
        ...

    async def identifier_counts(
        self, kind: type[Row], account_id: str, agent_id: str, identifiers: Collection[str]
    ) -> Mapping[str, int]:
        """Count an agent's versions, or schema versions, by external identifier."""
        ...

    async def current_versions(self, account_id: str, agent_id: str) -> Sequence[CurrentVersion]:
        """Return the current version of each of an agent's deployments that has one."""
        ...

    async def account(self, account_id: str) -> Account | None:
        """Return an account by its id."""
        ...

    async def token_by_hash(self, token_hash: bytes) -> tuple[ApiToken, Account] | None:
        """Return the token with this hash, and its account. The only read across accounts."""
        ...

    async def admin_users_by_email(self, email: str) -> Sequence[AdminUser]:
        """Return up to ten people with an address, in any case and account, oldest first."""
        ...

    async def tokens(self, account_id: str) -> Sequence[ApiToken]:
        """Return all tokens of an account, oldest first."""
        ...

    async def agent(self, account_id: str, ref: str) -> AgentRecord | None:
        """Return an agent by its id or its external identifier."""
        ...

    async def agents(self, account_id: str, listing: Listing) -> Page[AgentRecord]:
        """Return a page of agents. A filter on ``environment_id`` selects those deployed there."""
        ...

    async def instance_counts(
        self, account_id: str, agent_id: str, environment_id: str | None
    ) -> InstanceCounts:
        """Count an agent's runs by status, in one environment or in all."""
        ...

    async def instance(self, account_id: str, instance_id: str) -> AgentInstance | None:
        """Return a run by its id."""
        ...

    async def skeleton(self, account_id: str, instance_id: str) -> Sequence[SpanOutline]:
        """Return all spans of a run, without payloads, in any order."""
        ...

    async def instances(self, account_id: str, listing: Listing) -> Page[AgentInstance]:
        """Return a page of runs."""
        ...

    async def span(self, account_id: str, span_id: str) -> SpanRecord | None:
        """Return a span with its payloads."""
        ...

    async def spans_by_id(
        self, account_id: str, ids: Collection[str], max_bytes: int | None = None
    ) -> Sequence[SpanRecord]:
        """Return the existing spans among ``ids``, with payloads, in no particular order.

        Raises:
            TooLarge: the payloads have more than ``max_bytes``. None of them was decompressed.
        """
        ...

    async def spans(
        self, account_id: str, listing: Listing, max_bytes: int | None = None
    ) -> Page[SpanRecord]:
        """Return a page of spans with their payloads.

        Raises:
            TooLarge: the payloads have more than ``max_bytes``. None of them was decompressed.
        """
        ...

    async def span_usage(self, account_id: str, run_ids: Sequence[str]) -> Sequence[SpanUsage]:
        """Count the spans of runs by run, type and model."""
        ...

    async def risk_profiles_of(
        self, account_id: str, agent_ids: Sequence[str]
    ) -> Mapping[str, RiskProfile]:
        """Return the profiles of agents, by agent, without deleted ones."""
        ...

    async def instances_of_agent(
        self, account_id: str, agent_id: str, after: str, limit: int
    ) -> Sequence[AgentInstance]:
        """Return the runs of an agent that follow an id, in the order of their ids."""
        ...

    async def agent_types(
        self, account_id: str, agent_id: str, environment_id: str | None
    ) -> AgentTypes:
        """Return an agent's current schema versions and span types, in one or all environments."""
        ...

    async def row(self, kind: type[R], account_id: str, row_id: str) -> R | None:
        """Return a row by its id, or None."""
        ...

    async def rows_by_id(self, kind: type[R], account_id: str, ids: Collection[str]) -> Sequence[R]:
        """Return the existing rows of a kind among ``ids``, in no particular order."""
        ...

    async def rows(self, kind: type[R], account_id: str, listing: Listing) -> Page[R]:
        """Return a page of rows of a kind."""
        ...

    async def schema_content(self, account_id: str, schema_version_id: str) -> bytes | None:
        """Return the JSON of the span types that a schema version declares."""
        ...

    async def close(self) -> None:
        """Finish pending writes and close the database."""
        ...
