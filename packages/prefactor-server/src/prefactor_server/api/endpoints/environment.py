"""Environments: where agents run."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from prefactor_server.api.kernel.fields import Name, NewId, NoFields
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
from prefactor_server.api.kernel.query import check_account
from prefactor_server.api.views.base import (
    Listed,
    Success,
    by_path_id,
    listed,
    show_deleted,
    show_time,
    written,
)
from prefactor_server.commands.environment import (
    CreateEnvironment,
    DeleteEnvironment,
    UpdateEnvironment,
)
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
)


class EnvironmentFields(msgspec.Struct, kw_only=True):
    """A new environment."""

    name: Name
    account_id: str | None = None
    id: NewId | None = None


class EnvironmentUpdateFields(msgspec.Struct, kw_only=True):
    """The fields of an environment that can be changed."""

    name: Name


class EnvironmentView(msgspec.Struct, frozen=True, kw_only=True):
    """An environment. ``is_default`` marks the one used by registrations without one."""

    type: Literal["environment"] = "environment"
    id: str
    account_id: str
    name: str
    is_default: bool
    inserted_at: str
    updated_at: str


_LIST = ListQuery(filters=(), sorts=("id", "name", "inserted_at", "updated_at"))
_ACCOUNT = Parameter("account_id", "The account. It must be the token's own, the default.")


async def _prepare_create(call: Call, body: EnvironmentFields) -> Prepared:
    check_account(body.account_id, call.principal)
    command = CreateEnvironment(call.request(), body.id or call.new_id(), body.name)
    return Prepared(command, _written)


async def _prepare_update(call: Call, body: EnvironmentUpdateFields) -> Prepared:
    return Prepared(UpdateEnvironment(call.request(), call.path_id, body.name), _written)


async def _prepare_delete(call: Call, body: NoFields) -> Prepared:
    del body
    return Prepared(DeleteEnvironment(call.request(), call.path_id), _written)


async def _show(call: Call, environment_id: str) -> Success[EnvironmentView]:
    environment = await call.services.reader.environments.show(call.principal, environment_id)
    return Success(details=_view(environment))


async def _list(call: Call) -> Listed[EnvironmentView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.environments.page(call.principal, listing)
    return listed(listing, page, [_view(environment) for environment in page.rows])


def _view(environment: Environment) -> EnvironmentView:
    return EnvironmentView(
        id=environment.id,
        account_id=environment.account_id,
        name=environment.name,
        is_default=bool(environment.is_default),
        inserted_at=show_time(environment.inserted_at),
        updated_at=show_time(environment.updated_at),
    )


_written = written(Environment, _view)


_WRITE: Final[dict[str, Any]] = {"access": "account", "reply": Success[EnvironmentView]}
_BY_ID: Final = "/api/v1/environment/{environment_id}"

OPERATIONS = (
    Read(
        name="environments.list",
        cost=LIST_COST,
        method="GET",
        path="/api/v1/environment",
        right="read",
        summary="List environments",
        access="account",
        reply=Listed[EnvironmentView],
        refusals=(ValidationFailed,),
        parameters=(_ACCOUNT, *_LIST.parameters()),
        answer=_list,
    ),
    Read(
        name="environments.show",
        method="GET",
        path=_BY_ID,
        right="read",
        summary="Show an environment",
        access="account",
        reply=Success[EnvironmentView],
        refusals=(NotFound,),
        answer=by_path_id(_show),
    ),
    Write(
        **_WRITE,
        name="environments.create",
        method="POST",
        path="/api/v1/environment",
        right="administer",
        summary="Create an environment",
        refusals=(InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=EnvironmentFields,
        wrapped=True,
        prepare=_prepare_create,
        show=_show,
        examples=(Example("Staging", {"details": {"name": "Staging"}}),),
    ),
    Write(
        **_WRITE,
        name="environments.update",
        method="PUT",
        path=_BY_ID,
        right="administer",
        summary="Rename an environment",
        refusals=(NotFound, IdempotencyKeyUsed, ValidationFailed),
        body=EnvironmentUpdateFields,
        wrapped=True,
        prepare=_prepare_update,
        show=_show,
        examples=(Example("A name", {"details": {"name": "Production"}}),),
    ),
    Write(
        **_WRITE,
        name="environments.delete",
        method="DELETE",
        path=_BY_ID,
        right="administer",
        summary="Delete an environment",
        description=(
            "Returns the deleted environment. The default environment, and one that agents are "
            "deployed in, cannot be deleted."
        ),
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=NoFields,
        prepare=_prepare_delete,
        show=show_deleted("environment"),
        examples=(Example("With an idempotency key", {"idempotency_key": "drop-old"}),),
    ),
)
