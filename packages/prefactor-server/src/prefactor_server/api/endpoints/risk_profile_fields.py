"""The fields of a risk profile in requests, in either of two forms.

The flat form has weights, multipliers and thresholds at the top level, and a switch per weight.
The nested form has them in a ``ruleset``, as plain numbers. Both may be sent if they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from prefactor_server.api.kernel.errors import nest_errors
from prefactor_server.api.kernel.fields import ClientId, Name, NewId, Text, Timestamp
from prefactor_server.domain.errors import ValidationFailed, invalid
from prefactor_server.domain.risk.risk_profile import (
    DEFAULT_TEMPLATE,
    multipliers_document,
    thresholds_document,
    weights_document,
)
from prefactor_server.domain.risk.risk_score import MAX_MULTIPLIER, MAX_WEIGHT, RiskLevel

Weight = Annotated[
    float, Meta(ge=0, le=MAX_WEIGHT, description=f"must be a number from 0 to {MAX_WEIGHT}.")
]
Multiplier = Annotated[
    float,
    Meta(ge=1, le=MAX_MULTIPLIER, description=f"must be a number from 1 to {MAX_MULTIPLIER}."),
]
Threshold = Annotated[
    float, Meta(ge=0, le=1e12, description="must be a number from 0 to 1000000000000.")
]


class CategoryWeight(msgspec.Struct, kw_only=True):
    """The weight of a category of data. One that is not ``included`` weighs 0."""

    weight: Weight
    included: bool = True


class RulesetFields(msgspec.Struct, kw_only=True):
    """The rules as plain numbers. A null or absent entry has the template's value."""

    category_weights: dict[str, Weight | None] | UnsetType | None = UNSET
    action_multipliers: dict[str, Multiplier | None] | UnsetType | None = UNSET
    thresholds: dict[str, Threshold | None] | UnsetType | None = UNSET


class _Rules(msgspec.Struct, kw_only=True):
    """The rules in both forms. A null entry has the template's value."""

    category_weights: dict[str, CategoryWeight | Weight | None] | None = None
    action_multipliers: dict[str, Multiplier | None] | None = None
    thresholds: dict[str, Threshold | None] | None = None
    agreed_risk: RiskLevel | UnsetType | None = UNSET
    agreed_data_risk: RiskLevel | UnsetType | None = UNSET
    ruleset: RulesetFields | None = None


class UpdateRiskProfileFields(_Rules, kw_only=True):
    """Changes to a profile. Omitted fields stay as they are.

    Null removes a description or an agreed level, and in the ruleset means the template's value.
    Elsewhere it counts as omitted. If the profile has another ``updated_at`` than
    ``previous_updated_at``, nothing changes.
    """

    name: Name | None = None
    description: Text | UnsetType | None = UNSET
    previous_updated_at: Timestamp | UnsetType | None = UNSET


class RiskProfileFields(_Rules, kw_only=True):
    """A new profile.

    In the flat form, an omitted category weighs 0, and an omitted action multiplies by 1.
    """

    name: Name
    description: Text | None = None
    id: NewId | None = None


class PreviewRiskProfileFields(_Rules, kw_only=True):
    """The rules to preview, and the runs to score with them.

    An omitted rule has the value of the profile that ``risk_profile_id`` names or, without one, of
    a new profile.
    """

    agent_instance_ids: list[ClientId]
    risk_profile_id: ClientId | None = None


_Document: TypeAlias = Callable[[Mapping[str, Any]], str]
_DOCUMENTS: Final[Mapping[str, _Document]] = {
    "category_weights": lambda weights: weights_document(
        {
            name: (one.weight, one.included) if isinstance(one, CategoryWeight) else (one, True)
            for name, one in weights.items()
        }
    ),
    "action_multipliers": multipliers_document,
    "thresholds": thresholds_document,
}


def requested_rules(body: _Rules) -> dict[str, Any]:
    """Return the columns that a request sets: rules as JSON documents, and the agreed risk.

    Raises:
        ValidationFailed: a rule is wrong, or the two forms disagree.
    """
    columns: dict[str, Any] = {}
    for part, document in _DOCUMENTS.items():
        flat, nested = _flat(body, part, document), _nested(body, part, document)
        if flat is not None and nested is not None and not _agree(flat, nested):
            raise invalid(part, f"differs from ruleset.{part}: send one of them")
        if flat is not None or nested is not None:
            columns[part] = flat or nested
    agreed = [one for one in (body.agreed_risk, body.agreed_data_risk) if one is not UNSET]
    if len(set(agreed)) > 1:
        raise invalid("agreed_data_risk", "differs from agreed_risk: send one of them")
    if agreed:
        columns["agreed_risk"] = agreed[0]
    return columns


def default_rules() -> dict[str, Any]:
    """Return the rules of a new profile without any in its request."""
    return {part: document({}) for part, document in _DOCUMENTS.items()} | {"agreed_risk": None}


def ruleset_of(rules: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return stored rules in the nested form. A disabled category weighs 0."""
    return {part: _numbers(rules[part]) for part in _DOCUMENTS}


def _flat(body: _Rules, part: str, document: _Document) -> str | None:
    entries: Mapping[str, Any] | None = getattr(body, part)
    if entries is None:
        return None
    template: Mapping[str, float] = getattr(DEFAULT_TEMPLATE, part)
    return document(
        {name: template.get(name) if one is None else one for name, one in entries.items()}
    )


def _nested(body: _Rules, part: str, document: _Document) -> str | None:
    sent: Mapping[str, Any] | UnsetType | None = (
        UNSET if body.ruleset is None else getattr(body.ruleset, part)
    )
    if sent is UNSET:
        return None
    template: Mapping[str, float] = getattr(DEFAULT_TEMPLATE, part)
    entries: Mapping[str, Any] = sent or {}
    changes = {
        name: one for name, one in entries.items() if one is not None or name not in template
    }
    try:
        return document({**template, **changes})
    except ValidationFailed as refusal:
        raise nest_errors("ruleset", refusal) from None


def _agree(flat: str, nested: str) -> bool:
    return _numbers(flat) == _numbers(nested)


def _numbers(document: str) -> dict[str, float]:
    rules: dict[str, CategoryWeight | float] = msgspec.json.decode(
        document, type=dict[str, CategoryWeight | float]
    )
    return {
        name: (one.weight if one.included else 0.0) if isinstance(one, CategoryWeight) else one
        for name, one in rules.items()
    }
