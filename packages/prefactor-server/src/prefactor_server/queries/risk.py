"""The reads of risk: scores, computed from declarations, recorded spans and profiles.

Scores are computed on demand, so a changed profile changes every score at once. Without a profile
there is no score. For a run that was counted and has not changed since, the cost does not depend on
the number of its spans. A page takes at most three statements, and one more for each schema version
that is not cached.
"""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_rollup import Rollups, assess, roll_up
from prefactor_server.domain.risk.risk_score import (
    NOTHING_DECLARED,
    DataRisk,
    RiskLevel,
    RunRisk,
    Weights,
    exceeds,
    level_of,
    read_data_risk,
    run_risk,
    type_risk,
)
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.cost import TokenUse
from prefactor_server.domain.runs.run_total import (
    RunTotal,
    RunUse,
    TypeUse,
    read_usage,
    span_counts,
)
from prefactor_server.storage.base import SpanUsage, Storage

# Schema versions never change. Their type names and a few flags are cached.
_MAX_CACHED: Final = 500
_MAX_TYPES: Final = 1000
_FEW_SPANS: Final = 200
"""Up to this many spans, counting them costs less than checking whether a total is exact."""


class ScoredRun(NamedTuple):
    """The risk of a run, and the profile it was computed with."""

    profile: RiskProfile
    risk: RunRisk


class ScoredSpan(NamedTuple):
    """The score of a single span."""

    score: float
    level: RiskLevel


class PreviewedRun(NamedTuple):
    """A run with its current score, and its score by another profile.

    ``now`` is None if the agent has no profile. Both are None if the run is not counted yet.
    """

    run: AgentInstance
    now: ScoredRun | None
    preview: ScoredRun | None


class SpanRef(NamedTuple):
    """A span's agent, type and schema version."""

    agent_id: str
    schema_version_id: str
    schema_name: str


class RunFigures(NamedTuple):
    """The figures computed from the spans of a run: risk, tokens, last activity.

    ``counted`` is the number of spans that were counted for them.
    """

    scored: ScoredRun | None
    tokens: Sequence[TokenUse]
    span_counts: Mapping[str, int]
    last_activity_at: int | None
    counted: int


class RiskQueries:
    """Reads scores."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._declared: OrderedDict[tuple[str, str], Mapping[str, DataRisk]] = OrderedDict()

    async def for_runs(
        self, account_id: str, runs: Sequence[AgentInstance]
    ) -> Mapping[str, ScoredRun]:
        """Return the scores of runs, by run. Runs whose agents have no profile are left out."""
        profiles = await self._profiles(account_id, {run.agent_id for run in runs})
        with_profile = [run for run in runs if run.agent_id in profiles]
        if not with_profile:
            return {}
        counts = await self._span_counts(account_id, with_profile)
        all_weights = _weights(profiles)
        return {
            run.id: ScoredRun(
                profiles[run.agent_id],
                await self._risk(run, all_weights[run.agent_id], counts.get(run.id, {})),
            )
            for run in with_profile
        }

    async def may_exceed(
        self, account_id: str, runs: Sequence[AgentInstance]
    ) -> Sequence[AgentInstance]:
        """Return the runs that would exceed the agreed level if all spans had the worst type."""
        profiles = await self._profiles(account_id, {run.agent_id for run in runs})
        all_weights = _weights(profiles)
        found: list[AgentInstance] = []
        for run in runs:
            if run.agent_id not in profiles:
                continue
            weights = all_weights[run.agent_id]
            declared = await self.declared(account_id, run.agent_schema_version_id)
            worst = max(
                (type_risk(name, one, weights).score for name, one in declared.items()), default=0
            )
            level = level_of(worst * run.span_total, weights)
            if exceeds(level, profiles[run.agent_id].agreed_risk):
                found.append(run)
        return found

    async def watched(
        self, account_id: str, runs: Sequence[AgentInstance]
    ) -> Mapping[str, ScoredRun | None]:
        """Return the runs whose agents have a profile, with scores if they may exceed its level."""
        profiles = await self._profiles(account_id, {run.agent_id for run in runs})
        with_profile = [run for run in runs if run.agent_id in profiles]
        if not with_profile:
            return {}
        scores = await self.for_runs(account_id, await self.may_exceed(account_id, with_profile))
        return {run.id: scores.get(run.id) for run in with_profile}

    async def for_run(self, run: AgentInstance) -> RunFigures:
        """Return the score of a run, its tokens, and its spans per type."""
        exact = await self._exact(run)
        uses, last_activity_at = exact or (await self.counted(run.account_id, [run.id]))[run.id]
        profile = (await self._profiles(run.account_id, {run.agent_id})).get(run.agent_id)
        counts = span_counts(uses)
        scored = None
        if profile is not None:
            scored = ScoredRun(profile, await self._risk(run, profile.weights(), counts))
        tokens = [TokenUse(*use[1:]) for use in uses]
        counted = run.span_total if exact is None else 0
        return RunFigures(scored, tokens, dict(sorted(counts.items())), last_activity_at, counted)

    async def counted(self, account_id: str, run_ids: Sequence[str]) -> Mapping[str, RunUse]:
        """Count the spans of runs, by run."""
        uses: dict[str, list[TypeUse]] = {run_id: [] for run_id in run_ids}
        last: dict[str, int] = {}
        for one in await self._storage.span_usage(account_id, run_ids):
            tokens = (int(one.prompt_tokens), int(one.completion_tokens))
            uses[one.agent_instance_id].append(TypeUse(*one[1:6], *tokens))
            if one.last_activity_at is not None:
                known = last.get(one.agent_instance_id, one.last_activity_at)
                last[one.agent_instance_id] = max(known, one.last_activity_at)
        return {run_id: RunUse(found, last.get(run_id)) for run_id, found in uses.items()}

    async def for_spans(
        self, account_id: str, spans: Sequence[SpanRef]
    ) -> Sequence[ScoredSpan | None]:
        """Return the scores of single spans, None if the agent has no profile."""
        profiles = await self._profiles(account_id, {span.agent_id for span in spans})
        all_weights = _weights(profiles)
        scored: list[ScoredSpan | None] = []
        for span in spans:
            weights = all_weights.get(span.agent_id)
            if weights is None:
                scored.append(None)
                continue
            declared = await self.declared(account_id, span.schema_version_id)
            risk = declared.get(span.schema_name, NOTHING_DECLARED)
            score = type_risk(span.schema_name, risk, weights).score
            scored.append(ScoredSpan(score, level_of(score, weights)))
        return scored

    async def rollups(self, account_id: str, agent_id: str, environment_id: str | None) -> Rollups:
        """Return the risk that an agent's current versions declare, and that of recorded spans."""
        types = await self._storage.agent_types(account_id, agent_id, environment_id)
        current: dict[str, DataRisk] = {}
        for version in types.current:
            current.update(await self.declared(account_id, version))
        recorded: dict[tuple[str, DataRisk], int] = defaultdict(int)
        for version, name, spans in types.recorded:
            declared = await self.declared(account_id, version)
            recorded[name, declared.get(name, NOTHING_DECLARED)] += spans
        profile = (await self._profiles(account_id, {agent_id})).get(agent_id)
        weights = None if profile is None else profile.weights()
        return Rollups(
            roll_up((risk, 1) for risk in current.values()),
            roll_up((risk, spans) for (_, risk), spans in recorded.items()),
            assess(current.items(), weights),
            assess(recorded, weights),
        )

    async def preview(
        self,
        account_id: str,
        runs: Sequence[AgentInstance],
        totals: Mapping[str, RunTotal],
        profile: RiskProfile,
    ) -> AsyncIterator[PreviewedRun]:
        """Score runs one by one, by the profiles of their agents and by another one.

        Span counts come from the totals of the runs, so the cost does not depend on them.
        """
        current = await self._profiles(account_id, {run.agent_id for run in runs})
        all_weights, weights = _weights(current), profile.weights()
        for run in runs:
            total = totals.get(run.id)
            if total is None:
                yield PreviewedRun(run, None, None)
                continue
            counts = span_counts(read_usage(total.usage))
            now = current.get(run.agent_id)
            scored = None
            if now is not None:
                risk = await self._risk(run, all_weights[run.agent_id], counts)
                scored = ScoredRun(now, risk)
            preview = ScoredRun(profile, await self._risk(run, weights, counts))
            yield PreviewedRun(run, scored, preview)

    async def declared(self, account_id: str, schema_version_id: str) -> Mapping[str, DataRisk]:
        """Return the declared risk of every span type of a schema version."""
        key = (account_id, schema_version_id)
        known = self._declared.get(key)
        if known is not None:
            self._declared.move_to_end(key)
            return known
        document = await self._storage.schema_content(*key)
        types: Mapping[str, DataRisk] = {} if document is None else _declared(document)
        if len(types) <= _MAX_TYPES:
            self._declared[key] = types
            while len(self._declared) > _MAX_CACHED:
                self._declared.popitem(last=False)
        return types

    async def profiles(self, account_id: str, agents: set[str]) -> Mapping[str, RiskProfile]:
        """Return the profiles of the agents that have one."""
        return await self._profiles(account_id, agents)

    async def _profiles(self, account_id: str, agents: set[str]) -> Mapping[str, RiskProfile]:
        if not agents:
            return {}
        return await self._storage.risk_profiles_of(account_id, sorted(agents))

    async def _exact(self, run: AgentInstance) -> RunUse | None:
        """Return the use of a run's spans from its total, or None if it must be counted."""
        if run.span_total <= _FEW_SPANS:
            return None
        # Examining a change costs no more than counting a span.
        total = await self._storage.run_totals.exact(run.account_id, run.id, run.span_total)
        return None if total is None else RunUse(read_usage(total.usage), total.last_activity_at)

    async def _span_counts(
        self, account_id: str, runs: Sequence[AgentInstance]
    ) -> Mapping[str, Mapping[str, int]]:
        """Return the number of spans of each type, from the totals of runs if these are current.

        A span never changes its type, so a total with as many spans as its run is current.
        """
        sizes = {run.id: run.span_total for run in runs}
        counts: dict[str, Mapping[str, int]] = {}
        for total in await self._storage.run_totals.totals(account_id, list(sizes)):
            counted = span_counts(read_usage(total.usage))
            if sum(counted.values()) == sizes[total.id]:
                counts[total.id] = counted
        if rest := sizes.keys() - counts.keys():
            counts |= _counts(await self._storage.span_usage(account_id, sorted(rest)))
        return counts

    async def _risk(
        self, run: AgentInstance, weights: Weights, counts: Mapping[str, int]
    ) -> RunRisk:
        declared = await self.declared(run.account_id, run.agent_schema_version_id)
        return run_risk(counts, declared, weights)


def _weights(profiles: Mapping[str, RiskProfile]) -> Mapping[str, Weights]:
    """Decode the weights of profiles, once for all their runs."""
    return {agent_id: profile.weights() for agent_id, profile in profiles.items()}


def _declared(document: bytes) -> Mapping[str, DataRisk]:
    types: list[dict[str, Any]] = json.loads(document)["span_type_schemas"]
    return {one["name"]: read_data_risk(one.get("data_risk")) for one in types}


def _counts(usage: Sequence[SpanUsage]) -> Mapping[str, Mapping[str, int]]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in usage:
        counts[one.agent_instance_id][one.schema_name] += one.spans
    return counts
