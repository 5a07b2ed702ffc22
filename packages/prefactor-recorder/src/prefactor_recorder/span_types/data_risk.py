"""What a span type may do and which data it sees, as the API accepts it.

Everything is optional and defaults to unknown. The API silently drops words it does not know, so
they are rejected here, where the typo is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypedDict, cast, get_args, get_type_hints, is_typeddict

from prefactor_recorder.corrections import short_repr
from prefactor_recorder.errors import ConfigurationError

RiskAnswer = Literal["unknown", "allowed", "disallowed"]
"""Whether a kind of action may happen."""
Inclusion = Literal["unknown", "included", "excluded"]
"""Whether data of a category is present."""
Classification = Literal["unknown", "public", "internal", "confidential", "restricted", "secret"]
"""How confidential data is."""


class ActionProfile(TypedDict, total=False):
    """Which kinds of action a span type takes."""

    create_data: RiskAnswer
    read_data: RiskAnswer
    update_data: RiskAnswer
    destroy_data: RiskAnswer
    financial_transactions: RiskAnswer
    external_communication: RiskAnswer


class DataCategories(TypedDict, total=False):
    """Which categories of data a payload holds, and how confidential it is."""

    personal_identifiers: Inclusion
    contact_information: Inclusion
    financial_information: Inclusion
    health_and_medical: Inclusion
    criminal_justice: Inclusion
    authentication_and_secrets: Inclusion
    organisational_confidential: Inclusion
    minors_data: Inclusion
    location_and_tracking: Inclusion
    behavioural_and_inferred: Inclusion
    gdpr_racial_or_ethnic_origin: Inclusion
    gdpr_political_opinions: Inclusion
    gdpr_religious_or_philosophical_beliefs: Inclusion
    gdpr_trade_union_membership: Inclusion
    gdpr_genetic_data: Inclusion
    gdpr_biometric_for_identification: Inclusion
    gdpr_sex_life_or_sexual_orientation: Inclusion
    classification: Classification


class DataRisk(TypedDict, total=False):
    """The risk of a span type."""

    action_profile: ActionProfile
    params_data_categories: DataCategories
    result_data_categories: DataCategories


class Model(Protocol):
    """A pydantic model, such as `prefactor_http`'s of the same name."""

    def model_dump(self, *, mode: str, exclude_none: bool) -> dict[str, Any]:
        """Return the fields as JSON values."""
        ...


RiskLike = DataRisk | Mapping[str, Any] | Model
"""The ways to state a risk."""


def checked_risk(risk: RiskLike) -> dict[str, Any]:
    """Return a risk as the API accepts it.

    Raises:
        ConfigurationError: The risk contains a name or value that the API does not know.
    """
    dump = getattr(risk, "model_dump", None)
    stated: Any = risk if dump is None else dump(mode="json", exclude_none=True)
    whole: dict[str, Any] = _checked(stated, DataRisk, "data_risk")
    return whole


def _checked(stated: Any, expected: Any, path: str) -> Any:
    if not is_typeddict(expected):
        words = get_args(expected)
        if stated not in words:
            raise ConfigurationError(
                f"{path} must be one of {_listed(words)}, got {short_repr(stated)}"
            )
        return stated
    if not isinstance(stated, Mapping):
        raise ConfigurationError(f"{path} must be a mapping, got {type(stated).__name__}")
    fields = get_type_hints(expected)
    members = cast("Mapping[str, Any]", stated)
    for name in members:
        if name not in fields:
            raise ConfigurationError(
                f"{path} has no member {short_repr(name)}; its members are {_listed(fields)}"
            )
    return {
        name: _checked(member, fields[name], f"{path}.{name}") for name, member in members.items()
    }


def _listed(words: Any) -> str:
    return ", ".join(repr(word) for word in words)
