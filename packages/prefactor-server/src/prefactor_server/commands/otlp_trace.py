"""The writes of OpenTelemetry traces: received spans, and the end of traces that became idle.

They consist of the same steps as a registration, a start, new spans and a finish, in one commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from prefactor_server.commands.agent import find_agent
from prefactor_server.commands.agent_instance_register import RegisterInstance
from prefactor_server.commands.agent_span import CreateSpan, visible_instance
from prefactor_server.commands.base import Decision, Done, Request, Stale
from prefactor_server.domain.agent_schema_version import SchemaContent
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.runs.agent_instance import AgentInstance, FinishStatus
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.metadata import MAX_KEYS, InstanceMetadata, new_metadata
from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.storage.base import Changes, Needs, Row, Snapshot

_NO_CHANGES = Changes(inserted=[], updated=[], payloads=[])


class RootEnd(NamedTuple):
    """The combined end of the root spans in a batch: the worst status and the latest time."""

    status: FinishStatus
    at: int


class RecordTrace(NamedTuple):
    """Store spans of one trace and agent, with the metadata of their run.

    ``register`` creates the run if it is missing. ``seen`` is the row of the trace that the command
    was prepared from, ``document`` the state to store, and ``start`` the earliest start.
    """

    request: Request
    register: RegisterInstance
    key: str
    seen: OtlpTrace | None
    schema_version_id: str
    spans: tuple[CreateSpan, ...]
    start: int | None
    last_end: int
    root: RootEnd | None
    metadata: Mapping[str, str]
    document: bytes
    operation: str = "otlp.traces"

    def needs(self, needs: Needs) -> None:
        """Add the rows of the registration, the row of the trace, and spans with the same ids."""
        self.register.needs(needs)
        needs.rows.add((OtlpTrace, self.key))
        if self.metadata:
            needs.rows.add((InstanceMetadata, self.register.id))
        for span in self.spans:
            needs.spans.add(span.id)

    def decide(self, snapshot: Snapshot) -> Decision | Stale:
        """Store the run with its new spans. Spans that already exist change nothing."""
        if snapshot.get(OtlpTrace, self.key) != self.seen or self._lacks_environment(snapshot):
            return Stale()
        registered = self._registered(snapshot)
        before = registered.run
        if (before.id, before.agent_schema_version_id) != (
            self.register.id,
            self.schema_version_id,
        ):
            return Stale()
        by_id: dict[str, CreateSpan] = {}
        for span in self.spans:
            # A request may contain a span twice. The first one counts, as in separate requests.
            by_id.setdefault(span.id, span)
        new = [span for span in by_id.values() if snapshot.get(AgentSpan, span.id) is None]
        run = self._run(before, new)
        inserted_metadata, updated_metadata = self._metadata(snapshot, run)
        if updated_metadata:
            # The run is updated with its metadata, so that concurrent writers conflict.
            run = run._replace(updated_at=self.request.now)
        inserted: list[Row] = [*(span.new_span(run) for span in new), *inserted_metadata]
        updated: list[Row] = [*registered.updated, *updated_metadata]
        if registered.is_new:
            inserted = [*(run if row is before else row for row in registered.inserted), *inserted]
        elif run != before:
            updated.append(run)
        changes = Changes(
            inserted=inserted,
            updated=updated,
            payloads=[payload for span in new for payload in span.payloads],
            contents=registered.contents,
        )
        return Decision(self._with_trace(changes, run), Done(run.id, run))

    def _lacks_environment(self, snapshot: Snapshot) -> bool:
        """Whether the named environment was deleted since its id was cached."""
        environment_id = self.register.environment_id
        return environment_id is not None and snapshot.get(Environment, environment_id) is None

    def _run(self, before: AgentInstance, new: Sequence[CreateSpan]) -> AgentInstance:
        """Return the run with the new spans and the end of its root spans."""
        run, now = before, self.request.now
        if self.start is not None:
            run = run.start_earlier(self.start, now)
        for span in new:
            run = run.count_span(span.status, now)
        return run if self.root is None else run.end_by_root(self.root.status, self.root.at, now)

    def _with_trace(self, changes: Changes, run: AgentInstance) -> Changes:
        """Return the changes with the row of the trace, which a repeated batch leaves unchanged."""
        after, seen = self.row_after(run), self.seen
        if after is None:
            return changes if seen is None else replace(changes, deleted=(seen,))
        if seen is None:
            return replace(changes, inserted=(*changes.inserted, after))
        if changes == _NO_CHANGES and after._replace(updated_at=seen.updated_at) == seen:
            return changes
        return replace(changes, updated=(*changes.updated, after))

    def _registered(self, snapshot: Snapshot) -> _Registered:
        register = self.register
        agent = find_agent(snapshot, register.agent_ref)
        external = register.external_identifier or ""
        if agent is not None:
            found = snapshot.get(AgentInstance, agent.id, "external_identifier", external)
            if found is not None:
                visible_instance(snapshot, found.id, register.principal)
                return _Registered(found)
        decision = register.decide(snapshot)
        changes = decision.changes
        (run,) = (row for row in changes.inserted if isinstance(row, AgentInstance))
        return _Registered(
            run,
            is_new=True,
            inserted=changes.inserted,
            updated=changes.updated,
            contents=changes.contents,
        )

    def row_after(self, run: AgentInstance) -> OtlpTrace | None:
        """Return the row of the trace with this command applied, or None for nothing to store."""
        seen, now = self.seen, self.request.now
        was_open = seen is None or seen.agent_instance_id != run.id or seen.is_open
        is_open = run.status == "active" and self.root is None and was_open
        if not is_open and not self.document:
            return None
        return OtlpTrace(
            id=self.key,
            account_id=self.request.account_id,
            agent_instance_id=run.id,
            inserted_at=now if seen is None else seen.inserted_at,
            is_open=is_open,
            last_end=max(self.last_end, 0 if seen is None else seen.last_end),
            document=self.document,
            updated_at=now,
        )

    def _metadata(self, snapshot: Snapshot, run: AgentInstance) -> tuple[list[Row], list[Row]]:
        """Return the run's metadata to insert or to update.

        The smallest of several values of a key wins, so that the order of spans does not matter.
        """
        if not self.metadata:
            return [], []
        found = snapshot.get(InstanceMetadata, run.id)
        before = {} if found is None else found.texts()
        texts = {
            key: min(text, before.get(key, text))
            for key, text in self.metadata.items()
            if key in before or len(before.keys() | self.metadata) <= MAX_KEYS
        }
        if all(before.get(key) == text for key, text in texts.items()):
            return [], []
        now = self.request.now
        if found is None:
            return [new_metadata(run.account_id, run.id, texts, now)], []
        return [], [found.change(texts, now)]


class _Registered(NamedTuple):
    """The run of a trace, and the changes that created it."""

    run: AgentInstance
    is_new: bool = False
    inserted: Sequence[Row] = ()
    updated: Sequence[Row] = ()
    contents: Sequence[SchemaContent] = ()


class EndSilentTrace(NamedTuple):
    """End the run of a trace that has been idle for a long time, and delete the trace's row."""

    request: Request
    seen: OtlpTrace
    operation: str = "otlp.end_silent"

    def needs(self, needs: Needs) -> None:
        """Add the row of the trace, and its run."""
        needs.rows.add((OtlpTrace, self.seen.id))
        needs.instances.add(self.seen.agent_instance_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """End the run provisionally, unless spans of the trace have arrived since."""
        seen = self.seen
        if snapshot.get(OtlpTrace, seen.id) != seen:
            return Decision(Changes(), Done(seen.agent_instance_id))
        run = snapshot.get(AgentInstance, seen.agent_instance_id)
        ended: tuple[Row, ...] = ()
        if run is not None and run.status == "active" and seen.is_open:
            ended = (run.end_by_silence(seen.last_end, self.request.now),)
        return Decision(Changes(updated=ended, deleted=(seen,)), Done(seen.agent_instance_id, run))
