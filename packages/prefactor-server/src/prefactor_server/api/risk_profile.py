"""Risk profiles: create, show, list, update and delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from prefactor_server.api.fields import ClientId, Name, Text
from prefactor_server.api.listing import ListOf
from prefactor_server.api.operation import Call, Example, Prepared, Read, Write
from prefactor_server.api.views import Listed, Success, listed, show_time
from prefactor_server.commands.base import Command, Done
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
from prefactor_server.domain.risk import FORMULA, MAX_MULTIPLIER, MAX_WEIGHT, RiskLevel
from prefactor_server.domain.risk_profile import (
    RiskProfile,
    multipliers_document,
    thresholds_document,
    weights_document,
)

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
    """What a category of data weighs; one that is not ``included`` counts for nothing."""

    weight: Weight
    included: bool = True


class UpdateRiskProfileFields(msgspec.Struct, kw_only=True):
    """Changes to a profile: what is not given stays as it is.

    Null takes a description or an agreed level away; elsewhere it is as if it were not given.
    """

    name: Name | None = None
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    category_weights: dict[str, CategoryWeight | Weight] | None = None
    action_multipliers: dict[str, Multiplier] | None = None
    thresholds: dict[str, Threshold] | None = None
    agreed_risk: RiskLevel | msgspec.UnsetType | None = msgspec.UNSET


class RiskProfileFields(msgspec.Struct, kw_only=True):
    """A new profile. A category that is not named weighs 0, and an action multiplies by 1."""

    name: Name
    description: Text | None = None
    id: ClientId | None = None
    category_weights: dict[str, CategoryWeight | Weight] | None = None
    action_multipliers: dict[str, Multiplier] | None = None
    thresholds: dict[str, Threshold] | None = None
    agreed_risk: RiskLevel | None = None


class DeleteRiskProfileFields(msgspec.Struct, kw_only=True):
    """Nothing but a key, if that."""


class RiskProfileView(msgspec.Struct, frozen=True, kw_only=True):
    """A profile: a weight for every category, a multiplier for every action, three thresholds."""

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
    inserted_at: str
    updated_at: str


_LIST: Final = ListOf(filters=(), sorts=("id", "name", "inserted_at", "updated_at"))


async def _prepare_create(call: Call, body: RiskProfileFields) -> Prepared:
    profile = RiskProfile(
        id=body.id or call.fresh_id(),
        account_id=call.principal.account_id,
        formula=FORMULA,
        inserted_at=call.now,
        name=body.name,
        description=body.description,
        category_weights=_weights(body.category_weights or {}),
        action_multipliers=multipliers_document(body.action_multipliers or {}),
        thresholds=thresholds_document(body.thresholds or {}),
        agreed_risk=body.agreed_risk,
        deleted_at=None,
        updated_at=call.now,
    )
    return _prepared(CreateRiskProfile(call.request(), profile))


async def _prepare_update(call: Call, body: UpdateRiskProfileFields) -> Prepared:
    clearable = {"description": body.description, "agreed_risk": body.agreed_risk}
    given: dict[str, Any] = {
        name: value for name, value in clearable.items() if value is not msgspec.UNSET
    }
    if body.name is not None:
        given["name"] = body.name
    if body.category_weights is not None:
        given["category_weights"] = _weights(body.category_weights)
    if body.action_multipliers is not None:
        given["action_multipliers"] = multipliers_document(body.action_multipliers)
    if body.thresholds is not None:
        given["thresholds"] = thresholds_document(body.thresholds)
    return _prepared(UpdateRiskProfile(call.request(), call.path_id, given))


async def _prepare_delete(call: Call, body: DeleteRiskProfileFields) -> Prepared:
    del body
    return _prepared(DeleteRiskProfile(call.request(), call.path_id))


def _prepared(command: Command) -> Prepared:
    def reply(done: Done) -> Success[RiskProfileView]:
        if not isinstance(done.row, RiskProfile):
            raise TypeError(done.row)
        return Success(details=_view(done.row))

    return Prepared(command, reply)


def _weights(given: Mapping[str, CategoryWeight | float]) -> str:
    return weights_document(
        {
            name: (one.weight, one.included) if isinstance(one, CategoryWeight) else (one, True)
            for name, one in given.items()
        }
    )


async def _show_written(call: Call, profile_id: str) -> Success[RiskProfileView]:
    profiles = call.services.reader.risk_profiles
    return Success(details=_view(await profiles.show_written(call.principal, profile_id)))


async def _get(call: Call) -> Success[RiskProfileView]:
    profiles = call.services.reader.risk_profiles
    return Success(details=_view(await profiles.show(call.principal, call.path_id)))


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
        inserted_at=show_time(profile.inserted_at),
        updated_at=show_time(profile.updated_at),
    )


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

OPERATIONS = (
    Write(
        **_WRITE,
        name="risk_profiles.create",
        method="POST",
        path="/api/v1/risk_profile",
        summary="Create a risk profile",
        description=(
            "A weight may be a number alone. Thresholds ascend; a score has the highest level "
            "whose threshold it exceeds. Needs an account token."
        ),
        refusals=(InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=RiskProfileFields,
        wrapped=True,
        prepare=_prepare_create,
        examples=(Example("Weights for customer data", {"details": _EXAMPLE}),),
    ),
    Read(
        name="risk_profiles.list",
        method="GET",
        path="/api/v1/risk_profile",
        summary="List risk profiles",
        description="Needs an account token.",
        access="account",
        reply=Listed[RiskProfileView],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
    Read(
        name="risk_profiles.show",
        method="GET",
        path=_OF_ONE,
        summary="Show a risk profile",
        description="Needs an account token.",
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
        summary="Change a risk profile",
        description=(
            "What is not given stays as it is; weights, multipliers and thresholds are replaced "
            "as a whole. Scores are computed when they are read, so old runs follow. Needs an "
            "account token."
        ),
        refusals=(NotFound, IdempotencyKeyUsed, ValidationFailed),
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
        summary="Delete a risk profile",
        description=(
            "Agents that have it keep its id, and their runs have no scores from then on. "
            "Needs an account token."
        ),
        refusals=(NotFound, IdempotencyKeyUsed),
        body=DeleteRiskProfileFields,
        prepare=_prepare_delete,
        examples=(Example("Without a key", {}),),
    ),
)
