"""Deployments: which version of an agent is current in an environment."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from prefactor_server.api.kernel.fields import Name, NewId, NoFields
from prefactor_server.api.kernel.listing import (
    AGENT_PARAMETER,
    FilterParameter,
    ListQuery,
    agent_filter,
)
from prefactor_server.api.kernel.operation import (
    LIST_COST,
    Call,
    Example,
    Parameter,
    Prepared,
    Read,
    Write,
)
from prefactor_server.api.views.base import (
    Listed,
    Success,
    by_path_id,
    listed,
    show_deleted,
    show_time,
    written,
)
from prefactor_server.commands.agent_deployment import (
    CreateDeployment,
    DeleteDeployment,
    UpdateDeployment,
)
from prefactor_server.domain.agent_deployment import AgentDeployment
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
)


class AgentDeploymentFields(msgspec.Struct, kw_only=True):
    """A new deployment."""

    agent_id: Name
    environment_id: Name
    id: NewId | None = None
    current_version_id: Name | None = None


class AgentDeploymentUpdateFields(msgspec.Struct, kw_only=True):
    """The version to make current, or null for no version."""

    current_version_id: Name | None


class AgentDeploymentView(msgspec.Struct, frozen=True, kw_only=True):
    """An agent in an environment, and its current version there."""

    type: Literal["agent_deployment"] = "agent_deployment"
    id: str
    account_id: str
    agent_id: str
    environment_id: str
    current_version_id: str | None
    inserted_at: str
    updated_at: str


_LIST = ListQuery(
    filters=(FilterParameter(Parameter("environment_id", "The environment."), "environment_id"),),
    sorts=("id", "environment_id", "inserted_at", "updated_at"),
)


async def _prepare_create(call: Call, body: AgentDeploymentFields) -> Prepared:
    command = CreateDeployment(
        request=call.request(),
        id=body.id or call.new_id(),
        agent_ref=body.agent_id,
        environment_id=body.environment_id,
        current_version_id=body.current_version_id,
    )
    return Prepared(command, _written)


async def _prepare_update(call: Call, body: AgentDeploymentUpdateFields) -> Prepared:
    command = UpdateDeployment(call.request(), call.path_id, body.current_version_id)
    return Prepared(command, _written)


async def _prepare_delete(call: Call, body: NoFields) -> Prepared:
    del body
    return Prepared(DeleteDeployment(call.request(), call.path_id), _written)


async def _show(call: Call, deployment_id: str) -> Success[AgentDeploymentView]:
    found = await call.services.reader.agent_deployments.show(call.principal, deployment_id)
    return Success(details=_view(found))


async def _list(call: Call) -> Listed[AgentDeploymentView]:
    listing = _LIST.read(call.query, await agent_filter(call))
    page = await call.services.reader.agent_deployments.page(call.principal, listing)
    return listed(listing, page, [_view(deployment) for deployment in page.rows])


def _view(deployment: AgentDeployment) -> AgentDeploymentView:
    return AgentDeploymentView(
        id=deployment.id,
        account_id=deployment.account_id,
        agent_id=deployment.agent_id,
        environment_id=deployment.environment_id,
        current_version_id=deployment.current_version_id,
        inserted_at=show_time(deployment.inserted_at),
        updated_at=show_time(deployment.updated_at),
    )


_written = written(AgentDeployment, _view)


_PATH: Final = "/api/v1/agent_deployment"
_BY_ID: Final = f"{_PATH}/{{agent_deployment_id}}"
_WRITE: Final[dict[str, Any]] = {
    "access": "account",
    "reply": Success[AgentDeploymentView],
    "refusals": (NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
}

OPERATIONS = (
    Read(
        name="agent_deployments.list",
        cost=LIST_COST,
        method="GET",
        path=_PATH,
        right="read",
        summary="List deployments of an agent",
        reply=Listed[AgentDeploymentView],
        refusals=(ValidationFailed,),
        parameters=(AGENT_PARAMETER, *_LIST.parameters()),
        answer=_list,
    ),
    Read(
        name="agent_deployments.show",
        method="GET",
        path=_BY_ID,
        right="read",
        summary="Show a deployment",
        reply=Success[AgentDeploymentView],
        refusals=(NotFound,),
        answer=by_path_id(_show),
    ),
    Write(
        **_WRITE,
        name="agent_deployments.create",
        method="POST",
        path=_PATH,
        right="administer",
        summary="Deploy an agent",
        description=(
            "There is at most one deployment per agent and environment. A registration creates a "
            "missing one."
        ),
        body=AgentDeploymentFields,
        wrapped=True,
        prepare=_prepare_create,
        show=_show,
        examples=(
            Example(
                "An agent in an environment",
                {"details": {"agent_id": "support", "environment_id": "staging"}},
            ),
        ),
    ),
    Write(
        **_WRITE,
        name="agent_deployments.update",
        method="PUT",
        path=_BY_ID,
        right="administer",
        summary="Pin the current version of a deployment",
        description="Null means no version.",
        body=AgentDeploymentUpdateFields,
        wrapped=True,
        prepare=_prepare_update,
        show=_show,
        examples=(Example("No version", {"details": {"current_version_id": None}}),),
    ),
    Write(
        **_WRITE,
        name="agent_deployments.delete",
        method="DELETE",
        path=_BY_ID,
        right="administer",
        summary="Delete a deployment",
        description=(
            "Returns the deleted deployment. A deployment that has runs or tokens cannot be "
            "deleted."
        ),
        body=NoFields,
        prepare=_prepare_delete,
        show=show_deleted("agent_deployment"),
        examples=(Example("With an idempotency key", {"idempotency_key": "drop-it-1"}),),
    ),
)
