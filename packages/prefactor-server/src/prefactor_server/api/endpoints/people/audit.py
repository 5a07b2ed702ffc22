"""The audit log: list the actions of operators."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from prefactor_server.api.kernel import query
from prefactor_server.api.kernel.listing import FilterParameter, ListQuery
from prefactor_server.api.kernel.operation import LIST_COST, Call, Parameter, Read
from prefactor_server.api.views.base import Listed, listed, show_time
from prefactor_server.domain.audit import AuditRecord
from prefactor_server.domain.errors import ValidationFailed
from prefactor_server.domain.listing import Sort

_TIME: Final = {"type": "string", "format": "date-time"}


class AuditEntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One action of an operator.

    ``actor`` is the id of a token or a person, or ``cli`` for the command line. ``action`` is the
    name of an operation, and ``detail`` adds to it, such as a reason.
    """

    type: Literal["audit_entry"] = "audit_entry"
    id: str
    account_id: str
    at: str
    actor: str
    action: str
    resource_id: str
    detail: str | None


_LIST: Final = ListQuery(
    filters=(
        FilterParameter(Parameter("actor", "The id of a token or a person, or cli."), "actor"),
        FilterParameter(Parameter("action", "The action, such as api_tokens.revoke."), "action"),
        FilterParameter(Parameter("resource_id", "The id of the changed resource."), "resource_id"),
        FilterParameter(
            Parameter("since", "The earliest time.", schema=_TIME), "at", query.time, ">="
        ),
        FilterParameter(
            Parameter("before", "The time before which the action happened.", schema=_TIME),
            "at",
            query.time,
            "<",
        ),
    ),
    sorts=("at",),
    default=Sort("at", descending=True),
)


async def _list(call: Call) -> Listed[AuditEntryView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.audit.page(call.principal, listing)
    return listed(listing, page, [_view(one) for one in page.rows])


def _view(record: AuditRecord) -> AuditEntryView:
    return AuditEntryView(
        id=record.id,
        account_id=record.account_id,
        at=show_time(record.at),
        actor=record.actor,
        action=record.action,
        resource_id=record.resource_id,
        detail=record.detail,
    )


OPERATIONS = (
    Read(
        name="audit_entries.list",
        cost=LIST_COST,
        method="GET",
        path="/api/v1/audit",
        right="administer",
        summary="List the actions of operators",
        description=(
            "Newest first by default. Entries are kept forever, or for the audit_days of the "
            "retention policy."
        ),
        access="account",
        reply=Listed[AuditEntryView],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
)
