"""Accounts: read and rename them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefactor_http._transport.encoding import path_segment
from prefactor_http.endpoints._arguments import as_time, texts
from prefactor_http.endpoints._base import Endpoint, to_details
from prefactor_http.models.account import Account
from prefactor_http.models.series import Series
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from prefactor_http._options import RequestOptions

PATH = "/api/v1/account"


class AccountClient(Endpoint):
    """`client.accounts`."""

    async def series(
        self,
        account_id: str,
        *,
        bucket: str | None = None,
        start_time: datetime | str | None = None,
        end_time: datetime | str | None = None,
        environment_id: str | None = None,
        options: RequestOptions | None = None,
    ) -> Series:
        """Read the activity of all agents of an account over time, in columns for a chart.

        Args:
            account_id: Its id.
            bucket: `minute`, `hour` or `day`; the server's default is `hour`.
            start_time: A time in the first bucket.
            end_time: A time that the last bucket reaches; now by default.
            environment_id: Only this environment; a deployment token has a fixed one.
            options: Limits and headers of this call only.

        Raises:
            PrefactorNotFoundError: The account does not exist.
            PrefactorValidationError: The range has too many buckets, or is not kept.
        """
        params = {
            "bucket": bucket,
            "start_time": as_time("start_time", start_time),
            "end_time": as_time("end_time", end_time),
            "environment_id": environment_id,
        }
        reply = await self._read(f"{_path(account_id)}/series", params, options)
        return to_details(reply, Series, "accounts.series")

    async def list(
        self,
        *,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[Account]:
        """Return a page of accounts.

        Args:
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the previous page.
            options: Limits and headers of this call only.
        """
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        return await self._page(PATH, paging, Account, options)

    def iterate(
        self,
        *,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[Account]:
        """Iterate over all accounts that `list` returns."""
        return self._walk(PATH, {}, Account, sorting=sorting, page_size=page_size, options=options)

    async def get(self, account_id: str, *, options: RequestOptions | None = None) -> Account:
        """Read one account.

        Raises:
            PrefactorNotFoundError: The account does not exist.
        """
        reply = await self._read(_path(account_id), None, options)
        return to_details(reply, Account, "accounts.get")

    async def update(
        self,
        account_id: str,
        *,
        name: str,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> Account:
        """Rename an account.

        Raises:
            PrefactorNotFoundError: The account does not exist.
        """
        key = self._key(idempotency_key)
        body = {"details": texts(name=name)}
        reply = await self._write("PUT", _path(account_id), body, key, options)
        return to_details(reply, Account, "accounts.update")


def _path(account_id: str) -> str:
    return f"{PATH}/{path_segment('account_id', account_id)}"
