"""Previews the scores of runs with a changed risk profile, without storing anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from prefactor_server.api.endpoints.risk_profile import RiskProfileView
from prefactor_server.api.endpoints.risk_profile_fields import (
    PreviewRiskProfileFields,
    default_rules,
    requested_rules,
)
from prefactor_server.api.kernel.decode import read_strict_body
from prefactor_server.api.kernel.operation import Call, Example, PureOperation
from prefactor_server.api.views.base import Success
from prefactor_server.api.views.search import DerivedView, derived_view
from prefactor_server.domain.errors import NotFound, ValidationFailed, invalid
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.risk.risk_score import FORMULA, RiskLevel, exceeds
from prefactor_server.queries.risk import PreviewedRun, ScoredRun

MAX_RUNS: Final = 50
_ENVELOPE: Final = frozenset({"_type", "idempotency_key"})


class ScoreView(msgspec.Struct, frozen=True, kw_only=True):
    """A score, its level, and whether that is more than the profile's agreed risk."""

    score: float
    level: RiskLevel
    exceeds_agreed_risk: bool


class PreviewedRunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run, with its current score and its score with the previewed rules.

    ``now`` is null if the run's agent has no profile. Both are null until the run's spans have been
    counted, see ``derived``.
    """

    agent_instance_id: str
    agent_id: str
    risk_profile_id: str | None
    now: ScoreView | None
    preview: ScoreView | None


class RiskProfilePreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """The runs in the order of the request. Runs that do not exist are omitted."""

    type: Literal["risk_profile_preview"] = "risk_profile_preview"
    risk_profile_id: str | None
    runs: Sequence[PreviewedRunView]
    derived: DerivedView


async def _preview(call: Call, document: bytes) -> Success[RiskProfilePreviewView]:
    body = read_strict_body(document, PreviewRiskProfileFields, RiskProfileView, _ENVELOPE)
    ids = list(dict.fromkeys(body.agent_instance_ids))
    if not 0 < len(ids) <= MAX_RUNS:
        raise invalid("agent_instance_ids", f"must have 1 to {MAX_RUNS} ids, got {len(ids)}")
    reader, principal = call.services.reader, call.principal
    profile = await _previewed_profile(call, body)
    # Read before the totals, so that they are at least as fresh as reported.
    state = await reader.derived.of_totals(call.now)
    runs, totals = await reader.agent_instances.counted(principal, ids)
    call.memory.take(sum(len(one.usage) for one in totals.values()))
    views: list[PreviewedRunView] = []
    async for one in reader.risks.preview(principal.account_id, runs, totals, profile):
        views.append(_run_view(one))
        await call.work.pause()
    return Success(
        details=RiskProfilePreviewView(
            risk_profile_id=body.risk_profile_id, runs=views, derived=derived_view(state)
        )
    )


async def _previewed_profile(call: Call, body: PreviewRiskProfileFields) -> RiskProfile:
    """Return the profile as it would be stored."""
    rules = requested_rules(body)
    if body.risk_profile_id is not None:
        profiles = call.services.reader.risk_profiles
        stored = await profiles.show(call.principal, body.risk_profile_id)
        return stored._replace(**rules)
    return RiskProfile(
        id="",
        account_id=call.principal.account_id,
        formula=FORMULA,
        inserted_at=call.now,
        name="",
        description=None,
        **(default_rules() | rules),
        deleted_at=None,
        updated_at=call.now,
    )


def _run_view(one: PreviewedRun) -> PreviewedRunView:
    return PreviewedRunView(
        agent_instance_id=one.run.id,
        agent_id=one.run.agent_id,
        risk_profile_id=None if one.now is None else one.now.profile.id,
        now=_score_view(one.now),
        preview=_score_view(one.preview),
    )


def _score_view(scored: ScoredRun | None) -> ScoreView | None:
    if scored is None:
        return None
    profile, risk = scored
    return ScoreView(
        score=risk.score,
        level=risk.level,
        exceeds_agreed_risk=exceeds(risk.level, profile.agreed_risk),
    )


_EXAMPLE: Final = {
    "agent_instance_ids": ["a-run"],
    "ruleset": {"category_weights": {"authentication_and_secrets": 10}},
}

OPERATIONS = (
    PureOperation(
        name="risk_profiles.preview",
        cost=100,
        method="POST",
        path="/api/v1/risk_profile/preview",
        right="read",
        summary="Preview the scores of runs",
        description=(
            f"Scores up to {MAX_RUNS} runs with rules that are not stored, and shows their current "
            "scores as well. The rules have the form that a change of a profile has."
        ),
        access="account",
        reply=Success[RiskProfilePreviewView],
        refusals=(NotFound, ValidationFailed),
        body=PreviewRiskProfileFields,
        answer=_preview,
        examples=(Example("The default template with one change", _EXAMPLE),),
    ),
)
