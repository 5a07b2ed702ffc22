"""Accounts: show and rename the caller's account."""

from __future__ import annotations

from typing import Literal

import msgspec

from prefactor_server.api.kernel.fields import Name
from prefactor_server.api.kernel.listing import ListQuery
from prefactor_server.api.kernel.operation import LIST_COST, Call, Example, Prepared, Read, Write
from prefactor_server.api.views.base import Listed, Success, by_path_id, listed, show_time, written
from prefactor_server.commands.account import UpdateAccount
from prefactor_server.domain.account import Account
from prefactor_server.domain.errors import IdempotencyKeyUsed, NotFound, ValidationFailed


class AccountFields(msgspec.Struct, kw_only=True):
    """The fields of an account that can be changed."""

    name: Name


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account."""

    type: Literal["account"] = "account"
    id: str
    name: str
    inserted_at: str
    updated_at: str


_LIST = ListQuery(filters=(), sorts=("id", "name", "inserted_at", "updated_at"))


async def _prepare_update(call: Call, body: AccountFields) -> Prepared:
    await call.services.reader.accounts.show(call.principal, call.path_id)
    return Prepared(UpdateAccount(call.request(), body.name), _written)


async def _show(call: Call, account_id: str) -> Success[AccountView]:
    account = await call.services.reader.accounts.show(call.principal, account_id)
    return Success(details=_view(account))


async def _list(call: Call) -> Listed[AccountView]:
    listing = _LIST.read(call.query)
    page = await call.services.reader.accounts.page(call.principal, listing)
    return listed(listing, page, [_view(account) for account in page.rows])


def _view(account: Account) -> AccountView:
    return AccountView(
        id=account.id,
        name=account.name,
        inserted_at=show_time(account.inserted_at),
        updated_at=show_time(account.updated_at),
    )


_written = written(Account, _view)


OPERATIONS = (
    Read(
        name="accounts.list",
        cost=LIST_COST,
        method="GET",
        path="/api/v1/account",
        right="read",
        summary="List accounts",
        description="A token belongs to one account, so the list has one entry.",
        access="account",
        reply=Listed[AccountView],
        refusals=(ValidationFailed,),
        parameters=_LIST.parameters(),
        answer=_list,
    ),
    Read(
        name="accounts.show",
        method="GET",
        path="/api/v1/account/{account_id}",
        right="read",
        summary="Show an account",
        access="account",
        reply=Success[AccountView],
        refusals=(NotFound,),
        answer=by_path_id(_show),
    ),
    Write(
        name="accounts.update",
        method="PUT",
        path="/api/v1/account/{account_id}",
        right="administer",
        summary="Rename an account",
        access="account",
        reply=Success[AccountView],
        refusals=(NotFound, IdempotencyKeyUsed, ValidationFailed),
        body=AccountFields,
        wrapped=True,
        prepare=_prepare_update,
        show=_show,
        examples=(Example("A name", {"details": {"name": "Research"}}),),
    ),
)
