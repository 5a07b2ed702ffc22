"""Risk profiles: create, show, list, update and delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from prefactor_server.api.endpoints.risk_profile_fields import (
    CategoryWeight,
    RiskProfileFields,
    UpdateRiskProfileFields,
    default_rules,
    requested_rules,
    ruleset_of,
)
from prefactor_server.api.kernel.listing import ListQuery
from prefactor_server.api.kernel.operation import (
    LIST_COST,
    Call,
    Example,
    Parameter,
    Prepared,
    Read,
    Write,
)
from prefactor_server.api.kernel.query import one_of
from prefactor_server.api.views.base import Listed, Success, listed, show_time, written
from prefactor_server.commands.risk_profile import (
    CreateRiskProfile,
    DeleteRiskProfile,
    UpdateRiskProfile,
)
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
)
from prefactor_server.domain.risk.risk_profile import TEMPLATES, RiskProfile
from prefactor_server.domain.risk.risk_score import FORMULA, RiskLevel


class DeleteRiskProfileFields(msgspec.Struct, kw_only=True):
    """No fields."""


class RulesetView(msgspec.Struct, frozen=True, kw_only=True):
    """The rules as plain numbers. A disabled category has the weight 0."""

    category_weights: Mapping[str, float]
    action_multipliers: Mapping[str, float]
    thresholds: Mapping[str, float]


class RiskProfileTemplateView(RulesetView, frozen=True, kw_only=True):
    """A ruleset to begin with, both at the top level and under ``ruleset``."""

    type: Literal["risk_profile_template"] = "risk_profile_template"
    name: str
    ruleset: RulesetView


class RiskProfileView(msgspec.Struct, frozen=True, kw_only=True):
    """A profile: a weight per category, a multiplier per action, and three thresholds.

    ``ruleset`` has the rules as plain numbers, and ``agreed_data_risk`` repeats ``agreed_risk``.
    """

    type: Literal["risk_profile"] = "risk_profile"
    id: str
    account_id: str
    name: str
    description: str | None
    formula_version: int
    category_weights: Mapping[str, CategoryWeight]
    action_multipliers: Mapping[str, float]
    thresholds: Mapping[str, float]
    agreed_risk: RiskLevel | None
    agreed_data_risk: RiskLevel | None
    ruleset: RulesetView
    inserted_at: str
    updated_at: str


_LIST: Final = ListQuery(filters=(), sorts=("id", "name", "inserted_at", "updated_at"))
_template_name = one_of(*TEMPLATES)


async def _prepare_create(call: Call, body: RiskProfileFields) -> Prepared:
    profile = RiskProfile(
        id=body.id or call.new_id(),
        account_id=call.principal.account_id,
        formula=FORMULA,
        inserted_at=call.now,
        name=body.name,
        description=body.description,
        **(default_rules() | requested_rules(body)),
        deleted_at=None,
        updated_at=call.now,
    )
    return Prepared(CreateRiskProfile(call.request(), profile), _written)


async def _prepare_update(call: Call, body: UpdateRiskProfileFields) -> Prepared:
    changes = requested_rules(body)
    if body.name is not None:
        changes["name"] = body.name
    if body.description is not msgspec.UNSET:
        changes["description"] = body.description
    previous = body.previous_updated_at
    command = UpdateRiskProfile(
        call.request(), call.path_id, changes, None if previous is msgspec.UNSET else previous
    )
    return Prepared(command, _written)


async def _prepare_delete(call: Call, body: DeleteRiskProfileFields) -> Prepared:
    del body
    return Prepared(DeleteRiskProfile(call.request(), call.path_id), _written)


async def _show_written(call: Call, profile_id: str) -> Success[RiskProfileView]:
    profiles = call.services.reader.risk_profiles
    return Success(details=_view(await profiles.show_including_deleted(call.principal, profile_id)))


async def _get(call: Call) -> Success[RiskProfileView]:
    profiles = call.services.reader.risk_profiles
    return Success(details=_view(await profiles.show(call.principal, call.path_id)))


async def _template(call: Call) -> Success[RiskProfileTemplateView]:
    name = _template_name("template_name", call.query.get("template_name", "default"))
    rules = TEMPLATES[name]._asdict()
    view = RiskProfileTemplateView(name=name, ruleset=RulesetView(**rules), **rules)
    return Success(details=view)


async def _list(call: Call) -> Listed[RiskProfileView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.risk_profiles.page(call.principal, listing)
    return listed(listing, page, [_view(profile) for profile in page.rows])


def _view(profile: RiskProfile) -> RiskProfileView:
    return RiskProfileView(
        id=profile.id,
        account_id=profile.account_id,
        name=profile.name,
        description=profile.description,
        formula_version=profile.formula,
        category_weights=msgspec.json.decode(
            profile.category_weights, type=dict[str, CategoryWeight]
        ),
        action_multipliers=msgspec.json.decode(profile.action_multipliers, type=dict[str, float]),
        thresholds=msgspec.json.decode(profile.thresholds, type=dict[str, float]),
        agreed_risk=profile.agreed_risk,
        agreed_data_risk=profile.agreed_risk,
        ruleset=RulesetView(**ruleset_of(profile._asdict())),
        inserted_at=show_time(profile.inserted_at),
        updated_at=show_time(profile.updated_at),
    )


_written = written(RiskProfile, _view)


_WRITE: Final[dict[str, Any]] = {
    "access": "account",
    "reply": Success[RiskProfileView],
    "show": _show_written,
}
_OF_ONE: Final = "/api/v1/risk_profile/{risk_profile_id}"
_EXAMPLE: Final = {
    "name": "Customer data",
    "category_weights": {
        "personal_identifiers": {"weight": 8, "included": True},
        "contact_information": {"weight": 4, "included": True},
    },
    "action_multipliers": {"destroy_data": 3, "external_communication": 2},
    "thresholds": {"medium": 0, "high": 50, "critical": 100},
    "agreed_risk": "medium",
}
_NESTED_EXAMPLE: Final = {
    "name": "Secrets weigh more",
    "ruleset": {
        "category_weights": {"authentication_and_secrets": 10, "minors_data": None},
        "action_multipliers": None,
        "thresholds": {"medium": 0, "high": 40, "critical": 80},
    },
}

OPERATIONS = (
    Write(
        **_WRITE,
        name="risk_profiles.create",
        method="POST",
        path="/api/v1/risk_profile",
        right="administer",
        summary="Create a risk profile",
        description=(
            "A weight may be a plain number. Thresholds ascend, and a score has the highest level "
            "whose threshold it exceeds. The rules may be sent flat or in a ruleset. An entry that "
            "a ruleset omits, or that is null, has the value of the default template."
        ),
        refusals=(InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=RiskProfileFields,
        wrapped=True,
        prepare=_prepare_create,
        examples=(
            Example("Weights for customer data", {"details": _EXAMPLE}),
            Example("The default template with one change", {"details": _NESTED_EXAMPLE}),
        ),
    ),
    Read(
        name="risk_profiles.list",
        cost=LIST_COST,
        method="GET",
        path="/api/v1/risk_profile",
        right="read",
        summary="List risk profiles",
        access="account",
        reply=Listed[RiskProfileView],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
    Read(
        name="risk_profiles.template",
        method="GET",
        path="/api/v1/risk_profile/template",
        right="read",
        summary="Show a ruleset to begin with",
        description="The only template is default.",
        access="account",
        reply=Success[RiskProfileTemplateView],
        refusals=(ValidationFailed,),
        parameters=(
            Parameter(
                "template_name",
                "The name of the template.",
                schema={"enum": list(TEMPLATES), "default": "default"},
            ),
        ),
        answer=_template,
    ),
    Read(
        name="risk_profiles.show",
        method="GET",
        path=_OF_ONE,
        right="read",
        summary="Show a risk profile",
        access="account",
        reply=Success[RiskProfileView],
        refusals=(NotFound,),
        answer=_get,
    ),
    Write(
        **_WRITE,
        name="risk_profiles.update",
        method="PUT",
        path=_OF_ONE,
        right="administer",
        summary="Change a risk profile",
        description=(
            "Omitted fields stay as they are. Weights, multipliers and thresholds are replaced as "
            "a whole. Scores are computed when they are read, so those of old runs change too. "
            "With `previous_updated_at`, a profile that somebody else has changed since is left as "
            "it is."
        ),
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=UpdateRiskProfileFields,
        wrapped=True,
        prepare=_prepare_update,
        examples=(Example("Another level", {"details": {"agreed_risk": "high"}}),),
    ),
    Write(
        **_WRITE,
        name="risk_profiles.delete",
        method="DELETE",
        path=_OF_ONE,
        right="administer",
        summary="Delete a risk profile",
        description=(
            "Agents that have the profile keep its id, and their runs have no scores from then on."
        ),
        refusals=(NotFound, IdempotencyKeyUsed),
        body=DeleteRiskProfileFields,
        prepare=_prepare_delete,
        examples=(Example("Without a key", {}),),
    ),
)
