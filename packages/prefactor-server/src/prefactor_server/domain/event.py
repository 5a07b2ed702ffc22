"""Live events: which changes concern a subscriber, and how changes of one run are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.change import Change
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.metadata import InstanceMetadata


class EventFilter(NamedTuple):
    """What a subscriber may see and wants to see. Subscribers with equal filters share messages.

    ``scope`` is the agent and environment of a deployment token, or None for the whole account.
    With run ids or agent ids, only these runs and the runs of these agents pass. ``with_spans``
    includes spans. With ``spans_of``, only the spans of these runs are included.
    """

    account_id: str
    scope: tuple[str, str] | None
    instance_ids: frozenset[str] = frozenset()
    agent_ids: frozenset[str] = frozenset()
    with_spans: bool = True
    spans_of: frozenset[str] = frozenset()

    @classmethod
    def for_caller(
        cls,
        principal: Principal,
        *,
        instance_ids: Iterable[str] = (),
        agent_ids: Iterable[str] = (),
        with_spans: bool = True,
        spans_of: Iterable[str] = (),
    ) -> EventFilter:
        """Return the filter of a caller."""
        scope = None
        if principal.scope != "account":
            scope = (principal.agent_id or "", principal.environment_id or "")
        return cls(
            principal.account_id,
            scope,
            frozenset(instance_ids),
            frozenset(agent_ids),
            with_spans,
            frozenset(spans_of),
        )

    def wants_spans(self, instance_id: str) -> bool:
        """Return whether the subscriber receives the spans of a passing run."""
        return self.with_spans and (not self.spans_of or instance_id in self.spans_of)

    def may_pass(self, instance_id: str) -> bool:
        """Return whether a change may concern the subscriber, without reading its run."""
        return not self.instance_ids or bool(self.agent_ids) or instance_id in self.instance_ids

    def passes(self, run: AgentInstance) -> bool:
        """Return whether changes of a run concern the subscriber."""
        if self.scope is not None and self.scope != (run.agent_id, run.environment_id):
            return False
        if not self.instance_ids and not self.agent_ids:
            return True
        return run.id in self.instance_ids or run.agent_id in self.agent_ids

    def passes_deleted(self, instance_id: str) -> bool:
        """Return whether the deletion of a run concerns the subscriber.

        A deleted run's agent is unknown. A deployment token therefore gets only
        deletions of runs that it follows by id, which it could see when it subscribed.
        """
        if instance_id in self.instance_ids:
            return True
        return self.scope is None and (not self.instance_ids or bool(self.agent_ids))


def merge_changes(changes: Iterable[Change]) -> Mapping[str, Sequence[str]]:
    """Merge changes of one account into the ids of changed spans by run.

    Runs and spans are listed once, in the order of their first change.
    """
    merged: dict[str, dict[str, None]] = {}
    for change in changes:
        merged.setdefault(change.agent_instance_id, {}).update(dict.fromkeys(change.span_ids))
    return {run_id: tuple(span_ids) for run_id, span_ids in merged.items()}


class ChangedRows(NamedTuple):
    """Merged changes of one account with the current rows.

    Rows are by id, metadata by the id of its run. Missing runs and spans were deleted. ``spans`` is
    None if there were too many to read.
    """

    changes: Mapping[str, Sequence[str]]
    runs: Mapping[str, AgentInstance]
    spans: Mapping[str, AgentSpan] | None
    metadata: Mapping[str, InstanceMetadata]

    def passing(self, event_filter: EventFilter) -> ChangedRows:
        """Return the changes that concern a subscriber of this account."""
        passing = {
            run_id: span_ids
            for run_id, span_ids in self.changes.items()
            if self._passes(run_id, event_filter)
        }
        return self._replace(changes=passing)

    def _passes(self, run_id: str, event_filter: EventFilter) -> bool:
        run = self.runs.get(run_id)
        return event_filter.passes_deleted(run_id) if run is None else event_filter.passes(run)
