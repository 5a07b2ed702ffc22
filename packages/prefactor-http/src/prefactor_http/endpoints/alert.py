"""Alerts: raise, clear and find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefactor_http._transport.encoding import path_segment
from prefactor_http.endpoints._arguments import as_dict, as_time, checked
from prefactor_http.endpoints._base import Endpoint, present, to_details, to_model
from prefactor_http.models.alert import (
    Alert,
    AlertCount,
    ClearAlertRequest,
    RaiseAlertRequest,
)
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from pydantic import BaseModel

    from prefactor_http._options import RequestOptions
    from prefactor_http.models.types import AlertSeverity, AlertStatus

PATH = "/api/v1/alerts"


class AlertClient(Endpoint):
    """`client.alerts`."""

    async def list(
        self,
        *,
        status: AlertStatus | None = None,
        severity: AlertSeverity | None = None,
        name: str | None = None,
        agent_id: str | None = None,
        agent_instance_id: str | None = None,
        environment_id: str | None = None,
        active_from: datetime | str | None = None,
        active_until: datetime | str | None = None,
        window_days: int | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[Alert]:
        """Return a page of alerts. Without a filter: raised ones of the last seven days.

        Args:
            status: Only alerts with this status.
            severity: Only alerts with this severity.
            name: Only alerts with this name.
            agent_id: Only alerts of this agent's runs; its id or external identifier.
            agent_instance_id: Only alerts of this run.
            environment_id: Only alerts of runs in this environment.
            active_from: Only alerts that were still raised at this time, or later.
            active_until: Only alerts that were raised before this time.
            window_days: Only alerts raised within this many days, 1 to 90.
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the previous page.
            options: Limits and headers of this call only.
        """
        filters = _filters(
            status=status,
            severity=severity,
            name=name,
            agent_id=agent_id,
            agent_instance_id=agent_instance_id,
            environment_id=environment_id,
            active_from=active_from,
            active_until=active_until,
            window_days=window_days,
        )
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        return await self._page(PATH, filters | paging, Alert, options)

    def iterate(
        self,
        *,
        status: AlertStatus | None = None,
        severity: AlertSeverity | None = None,
        name: str | None = None,
        agent_id: str | None = None,
        agent_instance_id: str | None = None,
        environment_id: str | None = None,
        active_from: datetime | str | None = None,
        active_until: datetime | str | None = None,
        window_days: int | None = None,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[Alert]:
        """Iterate over all alerts that `list` returns."""
        filters = _filters(
            status=status,
            severity=severity,
            name=name,
            agent_id=agent_id,
            agent_instance_id=agent_instance_id,
            environment_id=environment_id,
            active_from=active_from,
            active_until=active_until,
            window_days=window_days,
        )
        return self._walk(
            PATH, filters, Alert, sorting=sorting, page_size=page_size, options=options
        )

    async def count(
        self,
        *,
        status: AlertStatus | None = None,
        severity: AlertSeverity | None = None,
        name: str | None = None,
        agent_id: str | None = None,
        agent_instance_id: str | None = None,
        environment_id: str | None = None,
        active_from: datetime | str | None = None,
        active_until: datetime | str | None = None,
        window_days: int | None = None,
        options: RequestOptions | None = None,
    ) -> AlertCount:
        """Count the alerts that `list` would return, with the same arguments."""
        filters = _filters(
            status=status,
            severity=severity,
            name=name,
            agent_id=agent_id,
            agent_instance_id=agent_instance_id,
            environment_id=environment_id,
            active_from=active_from,
            active_until=active_until,
            window_days=window_days,
        )
        reply = await self._read(f"{PATH}/count", filters, options)
        count = to_model(reply, AlertCount, "alerts.count")
        count.remember(reply)
        return count

    async def get(self, alert_id: str, *, options: RequestOptions | None = None) -> Alert:
        """Read one alert.

        Raises:
            PrefactorNotFoundError: The alert does not exist.
        """
        reply = await self._read(f"{PATH}/{path_segment('alert_id', alert_id)}", None, options)
        return to_details(reply, Alert, "alerts.get")

    async def raise_(
        self,
        agent_instance_id: str,
        name: str,
        payload: Mapping[str, Any] | BaseModel | None = None,
        *,
        severity: AlertSeverity | None = None,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> Alert:
        """Raise an alert of a run, or update the raised alert with this name.

        Args:
            agent_instance_id: The run, with any status.
            name: The name of the alert; names that the server raises itself are rejected.
            payload: The details; None keeps the previous ones.
            severity: By default that of the alert schema, or else `warning`.
            idempotency_key: At most 64 characters; generated by default.
            options: Limits and headers of this call only.

        Raises:
            ValueError: The key is too long, or the API does not accept a value.
            PrefactorNotFoundError: The run does not exist.
            PrefactorValidationError: The name is reserved, or the run has too many alerts.
        """
        key = self._key(idempotency_key)
        body = present(
            agent_instance_id=agent_instance_id,
            name=name,
            severity=severity,
            payload=as_dict("payload", payload),
        )
        checked(RaiseAlertRequest, body)
        reply = await self._write("POST", f"{PATH}/raise", body, key, options)
        return to_details(reply, Alert, "alerts.raise")

    async def clear(
        self,
        agent_instance_id: str,
        name: str,
        *,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> Alert:
        """Clear the raised alert of a run by name. The row is kept.

        Args:
            agent_instance_id: The run.
            name: The alert's name. Clearing one that the server raised needs an account token.
            idempotency_key: At most 64 characters; generated by default.
            options: Limits and headers of this call only.

        Raises:
            ValueError: The key is too long, or the API does not accept a value.
            PrefactorNotFoundError: The run does not exist, or has no raised alert with this name.
        """
        key = self._key(idempotency_key)
        body: dict[str, Any] = {"agent_instance_id": agent_instance_id, "name": name}
        checked(ClearAlertRequest, body)
        reply = await self._write("POST", f"{PATH}/clear", body, key, options)
        return to_details(reply, Alert, "alerts.clear")


def _filters(
    *, active_from: datetime | str | None, active_until: datetime | str | None, **others: Any
) -> dict[str, Any]:
    return {
        **others,
        "active_during[start_at]": as_time("active_from", active_from),
        "active_during[end_at]": as_time("active_until", active_until),
    }
