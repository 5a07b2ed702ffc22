"""Webhooks: create, show, list, update and delete them, and rotate their secrets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import msgspec

from prefactor_server.api.endpoints.webhooks.webhook_fields import (
    RotateSecretFields,
    UpdateWebhookFields,
    WebhookFields,
    check_lists,
)
from prefactor_server.api.kernel.fields import NoFields
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
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
from prefactor_server.api.views.base import (
    Listed,
    Success,
    by_path_id,
    listed,
    show_deleted,
    show_optional_time,
    show_time,
    written_row,
)
from prefactor_server.commands.base import Command, Done
from prefactor_server.commands.webhook import (
    CreateWebhook,
    DeleteWebhook,
    RotateSecret,
    Scope,
    UpdateWebhook,
)
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    NotFound,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.runs.webhooks.signature import new_secret
from prefactor_server.domain.runs.webhooks.target import read_target
from prefactor_server.domain.runs.webhooks.webhook import (
    MAX_WEBHOOKS,
    Webhook,
    WebhookStatus,
    list_document,
    read_list,
)
from prefactor_server.domain.times import HOUR_US


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook without its secret.

    ``disabled_reason`` is set if the server disabled it, and null if a caller did.
    ``failing_since`` is the time of the first failure after the last success, and ``retry_at`` that
    of the next attempt. Until ``previous_secret_until``, requests are also signed with the secret
    from before the last rotation.
    """

    type: Literal["webhook"] = "webhook"
    id: str
    account_id: str
    url: str
    description: str | None
    events: Sequence[str]
    agent_ids: Sequence[str] | None
    environment_ids: Sequence[str] | None
    purposes: Sequence[str] | None
    status: WebhookStatus
    disabled_reason: str | None
    failing_since: str | None
    retry_at: str | None
    previous_secret_until: str | None
    inserted_at: str
    updated_at: str


class WebhookWithSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook with a new secret. The answer to a repeated request omits the secret."""

    status: Literal["success"] = "success"
    secret: str | msgspec.UnsetType = msgspec.UNSET
    details: WebhookView


_STATUSES: Final = ("enabled", "disabled")
_LIST: Final = ListQuery(
    filters=(
        FilterParameter(
            Parameter("status", "The status.", schema={"enum": list(_STATUSES)}),
            "status",
            one_of(*_STATUSES),
        ),
    ),
    sorts=("id", "inserted_at", "updated_at"),
)


async def _prepare_create(call: Call, body: WebhookFields) -> Prepared:
    check_lists(body)
    secrets = call.services.webhooks.secrets
    secrets.check_usable()
    secret, webhook_id = new_secret(call.services.random_bytes), call.new_id()
    webhook = Webhook(
        id=webhook_id,
        account_id=call.principal.account_id,
        inserted_at=call.now,
        url=_checked_url(call, body.url),
        description=body.description,
        events=list_document(body.events),
        agent_ids=None,
        environment_ids=None,
        purposes=None if body.purposes is None else list_document(body.purposes),
        status=body.status,
        disabled_reason=None,
        enabled_at=call.now,
        secret=secrets.encrypt(secret, webhook_id),
        previous_secret=None,
        previous_secret_until=0,
        failures=0,
        failing_since=None,
        not_before=0,
        deleted_at=None,
        updated_at=call.now,
    )
    scope = Scope(body.agent_ids or (), body.environment_ids or ())
    command = CreateWebhook(call.request(), webhook, scope)
    return Prepared(command, _with_secret(call, secret))


async def _prepare_update(call: Call, body: UpdateWebhookFields) -> Prepared:
    check_lists(body)
    changes: dict[str, Any] = {}
    if body.url is not None:
        changes["url"] = _checked_url(call, body.url)
    if body.events is not None:
        changes["events"] = list_document(body.events)
    if body.description is not msgspec.UNSET:
        changes["description"] = body.description
    if body.purposes is not msgspec.UNSET:
        changes["purposes"] = None if body.purposes is None else list_document(body.purposes)
    scope = Scope(_ids(body.agent_ids), _ids(body.environment_ids))
    command = UpdateWebhook(call.request(), call.path_id, changes, scope, body.status)
    command = command._replace(previous_updated_at=body.previous_updated_at)
    return _prepared(call, command)


async def _prepare_rotate(call: Call, body: RotateSecretFields) -> Prepared:
    secret = new_secret(call.services.random_bytes)
    sealed = call.services.webhooks.secrets.encrypt(secret, call.path_id)
    overlap_us = int(body.overlap_hours * HOUR_US)
    command = RotateSecret(call.request(), call.path_id, sealed, overlap_us)
    return Prepared(command, _with_secret(call, secret))


async def _prepare_delete(call: Call, body: NoFields) -> Prepared:
    del body
    return _prepared(call, DeleteWebhook(call.request(), call.path_id))


def _checked_url(call: Call, url: str) -> str:
    try:
        read_target(url, call.services.webhooks.allowed)
    except ValueError as error:
        raise invalid("url", str(error)) from error
    return url


def _ids(ids: list[str] | msgspec.UnsetType | None) -> Sequence[str] | None:
    """Return the ids of a filter: None to keep it, or an empty sequence to match everything."""
    if ids is msgspec.UNSET:
        return None
    return () if ids is None else ids


def _with_secret(call: Call, secret: str) -> Callable[[Done], WebhookWithSecret]:
    def reply(done: Done) -> WebhookWithSecret:
        return WebhookWithSecret(secret=secret, details=_view(written_row(done, Webhook), call.now))

    return reply


def _prepared(call: Call, command: Command) -> Prepared:
    def reply(done: Done) -> Success[WebhookView]:
        return Success(details=_view(written_row(done, Webhook), call.now))

    return Prepared(command, reply)


async def _show(call: Call, webhook_id: str) -> Success[WebhookView]:
    webhook = await call.services.reader.webhooks.show(call.principal, webhook_id)
    return Success(details=_view(webhook, call.now))


async def _list(call: Call) -> Listed[WebhookView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.webhooks.page(call.principal, listing)
    return listed(listing, page, [_view(webhook, call.now) for webhook in page.rows])


def _view(webhook: Webhook, now: int) -> WebhookView:
    overlaps = webhook.previous_secret is not None and now < webhook.previous_secret_until
    return WebhookView(
        id=webhook.id,
        account_id=webhook.account_id,
        url=webhook.url,
        description=webhook.description,
        events=read_list(webhook.events) or (),
        agent_ids=read_list(webhook.agent_ids),
        environment_ids=read_list(webhook.environment_ids),
        purposes=read_list(webhook.purposes),
        status=webhook.status,
        disabled_reason=webhook.disabled_reason,
        failing_since=show_optional_time(webhook.failing_since),
        retry_at=show_time(webhook.not_before) if now < webhook.not_before else None,
        previous_secret_until=show_time(webhook.previous_secret_until) if overlaps else None,
        inserted_at=show_time(webhook.inserted_at),
        updated_at=show_time(webhook.updated_at),
    )


_PATH: Final = "/api/v1/webhook"
_BY_ID: Final = f"{_PATH}/{{webhook_id}}"
_ONE: Final[dict[str, Any]] = {"access": "account", "right": "administer"}

OPERATIONS = (
    Write(
        **_ONE,
        name="webhooks.create",
        method="POST",
        path=_PATH,
        summary="Create a webhook",
        description=(
            "The server sends events to its URL in requests that are signed as the Standard "
            "Webhooks specification defines. Only this response contains the secret that signs "
            "them, at the top level. The server needs a secret_key. An account may have at most "
            f"{MAX_WEBHOOKS} webhooks."
        ),
        reply=WebhookWithSecret,
        refusals=(InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=WebhookFields,
        wrapped=True,
        prepare=_prepare_create,
        show=_show,
        examples=(
            Example(
                "Failures and costs in production",
                {
                    "details": {
                        "url": "https://hooks.example.org/prefactor",
                        "events": ["run.failed", "cost.exceeded"],
                        "environment_ids": ["production"],
                        "purposes": ["live"],
                    }
                },
            ),
        ),
    ),
    Read(
        **_ONE,
        name="webhooks.list",
        cost=LIST_COST,
        method="GET",
        path=_PATH,
        summary="List webhooks",
        description="Without their secrets.",
        reply=Listed[WebhookView],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
    Read(
        **_ONE,
        name="webhooks.show",
        method="GET",
        path=_BY_ID,
        summary="Show a webhook",
        description="Without its secret.",
        reply=Success[WebhookView],
        refusals=(NotFound,),
        answer=by_path_id(_show),
    ),
    Write(
        **_ONE,
        name="webhooks.update",
        method="PUT",
        path=_BY_ID,
        summary="Change a webhook",
        description=(
            "Omitted fields stay as they are. A webhook that is enabled again receives new events "
            "and its pending deliveries. With `previous_updated_at`, a webhook that somebody else "
            "has changed since is left as it is."
        ),
        reply=Success[WebhookView],
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=UpdateWebhookFields,
        wrapped=True,
        prepare=_prepare_update,
        show=_show,
        examples=(
            Example("Disable it", {"details": {"status": "disabled"}}),
            Example("For all agents", {"details": {"agent_ids": None}}),
        ),
    ),
    Write(
        **_ONE,
        name="webhooks.rotate_secret",
        method="POST",
        path=f"{_BY_ID}/rotate_secret",
        summary="Rotate the secret of a webhook",
        description=(
            "Only this response contains the new secret, at the top level. For overlap_hours, "
            "requests are signed with both secrets, so that the receiver can switch. A second "
            "rotation within that time drops the oldest secret."
        ),
        reply=WebhookWithSecret,
        refusals=(NotFound, InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=RotateSecretFields,
        wrapped=True,
        prepare=_prepare_rotate,
        show=_show,
        examples=(Example("Two days of overlap", {"details": {"overlap_hours": 48}}),),
    ),
    Write(
        **_ONE,
        name="webhooks.delete",
        method="DELETE",
        path=_BY_ID,
        summary="Delete a webhook",
        description="Its deliveries are deleted, and pending ones are not sent.",
        reply=Success[WebhookView],
        refusals=(NotFound, IdempotencyKeyUsed, ValidationFailed),
        body=NoFields,
        prepare=_prepare_delete,
        show=show_deleted("webhook"),
        examples=(Example("Once", {"idempotency_key": "key-of-mine"}),),
    ),
)
