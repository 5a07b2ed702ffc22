"""Risk: the data and actions of span types, and the profiles that weigh them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from prefactor_http.models.agent_instance_facets import DerivedState
from prefactor_http.models.base import ReplyModel, RequestModel
from prefactor_http.models.types import Classification, Inclusion, RiskAnswer


class ActionProfile(RequestModel):
    """The kinds of actions of a span type."""

    create_data: RiskAnswer = "unknown"
    read_data: RiskAnswer = "unknown"
    update_data: RiskAnswer = "unknown"
    destroy_data: RiskAnswer = "unknown"
    financial_transactions: RiskAnswer = "unknown"
    external_communication: RiskAnswer = "unknown"


class DataCategories(RequestModel):
    """The categories of data in a payload, and their confidentiality."""

    personal_identifiers: Inclusion = "unknown"
    contact_information: Inclusion = "unknown"
    financial_information: Inclusion = "unknown"
    health_and_medical: Inclusion = "unknown"
    criminal_justice: Inclusion = "unknown"
    authentication_and_secrets: Inclusion = "unknown"
    organisational_confidential: Inclusion = "unknown"
    minors_data: Inclusion = "unknown"
    location_and_tracking: Inclusion = "unknown"
    behavioural_and_inferred: Inclusion = "unknown"
    gdpr_racial_or_ethnic_origin: Inclusion = "unknown"
    gdpr_political_opinions: Inclusion = "unknown"
    gdpr_religious_or_philosophical_beliefs: Inclusion = "unknown"
    gdpr_trade_union_membership: Inclusion = "unknown"
    gdpr_genetic_data: Inclusion = "unknown"
    gdpr_biometric_for_identification: Inclusion = "unknown"
    gdpr_sex_life_or_sexual_orientation: Inclusion = "unknown"
    classification: Classification = "unknown"


class DataRisk(RequestModel):
    """The risk of a span type or quality schema."""

    action_profile: ActionProfile = Field(default_factory=ActionProfile)
    params_data_categories: DataCategories = Field(default_factory=DataCategories)
    result_data_categories: DataCategories = Field(default_factory=DataCategories)


class RiskProfileForUpdate(RequestModel):
    """Changes to a profile. Fields that are not given do not change.

    None removes a description or an agreed risk; the other fields cannot be removed.
    """

    name: str | None = None
    description: str | None = None
    category_weights: dict[str, Any] | None = None
    action_multipliers: dict[str, Any] | None = None
    thresholds: dict[str, Any] | None = None
    agreed_risk: str | None = None
    ruleset: dict[str, Any] | None = None
    """The rules as plain numbers, instead of the three fields above."""
    previous_updated_at: datetime | None = None
    """The `updated_at` that the change is based on. The server rejects any other."""

    def to_body(self) -> dict[str, Any]:
        """Return exactly the fields that were given, including None."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class RiskProfile(ReplyModel):
    """How an account weighs data categories and actions; assigned to agents."""

    type: Literal["risk_profile"] = "risk_profile"
    id: str
    name: str | None = None
    account_id: str | None = None
    description: str | None = None
    category_weights: dict[str, Any] | None = None
    action_multipliers: dict[str, Any] | None = None
    thresholds: dict[str, Any] | None = None
    agreed_risk: str | None = None
    """The level that runs may reach without an alert."""
    agreed_data_risk: str | None = None
    ruleset: dict[str, Any] | None = None
    """Weights, multipliers and thresholds as plain numbers."""
    formula_version: int | None = None
    inserted_at: datetime | None = None
    updated_at: datetime | None = None


class RiskScore(ReplyModel):
    """A score, its level, and whether that exceeds the profile's agreed risk."""

    score: float
    level: str
    exceeds_agreed_risk: bool


class PreviewedRun(ReplyModel):
    """A run with its current score, and its score by the previewed rules."""

    agent_instance_id: str
    agent_id: str
    risk_profile_id: str | None = None
    """The profile of its current score."""
    now: RiskScore | None = None
    """None if its agent has no profile."""
    preview: RiskScore | None = None
    """Like `now`, None while the run's spans are not counted yet."""


class RiskProfilePreview(ReplyModel):
    """The scores of runs by rules that are not stored."""

    type: Literal["risk_profile_preview"] = "risk_profile_preview"
    risk_profile_id: str | None = None
    runs: list[PreviewedRun]
    """In the requested order, without runs that do not exist."""
    derived: DerivedState
    """The lag of the counted spans of runs."""


class RiskProfileTemplate(ReplyModel):
    """A ruleset to start from."""

    type: Literal["risk_profile_template"] = "risk_profile_template"
    name: str | None = None
    category_weights: dict[str, Any] | None = None
    action_multipliers: dict[str, Any] | None = None
    thresholds: dict[str, Any] | None = None
    ruleset: dict[str, Any] | None = None
