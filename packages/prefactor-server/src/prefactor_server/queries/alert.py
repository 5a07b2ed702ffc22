"""The reads of alerts: computed from what is stored, over a bounded number of runs."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.domain.runs.alert import MAX_RAISED, Alert
from prefactor_server.domain.runs.found_alert import (
    MAX_RUNS,
    MAX_SPANS,
    Alerts,
    ended_alert,
    risk_alert,
)
from prefactor_server.queries.risk import RiskQueries
from prefactor_server.storage.base import Storage


class AlertQueries:
    """Reads alerts."""

    def __init__(self, storage: Storage, risks: RiskQueries) -> None:
        self._storage = storage
        self._risks = risks

    async def show(self, principal: Principal, alert_id: str) -> Alert:
        """An alert by its id.

        Raises:
            NotFound: there is none, or none for this caller.
        """
        alert = await self._storage.row(Alert, principal.account_id, alert_id)
        if alert is None or not principal.can_see(alert.agent_id, alert.environment_id):
            raise NotFound(f"Alert {alert_id!r} not found")
        return alert

    async def is_full(self, account_id: str, run_id: str) -> bool:
        """Whether a run has as many raised alerts as it may have."""
        raised = (Filter("agent_instance_id", "=", run_id), Filter("status", "=", "raised"))
        page = await self._storage.rows(Alert, account_id, Listing(raised, page_size=1))
        return page.total >= MAX_RAISED

    async def since(self, principal: Principal, since: int) -> Alerts:
        """The alerts about runs that ended, or were registered, since a time."""
        account_id = principal.account_id
        # One more of each than is looked at tells whether there are more.
        watched = await self._storage.watched_runs(account_id, since, MAX_RUNS + 1)
        ended, weighed = watched.ended_badly[:MAX_RUNS], watched.weighed[:MAX_RUNS]
        complete = (len(ended), len(weighed)) == (len(watched.ended_badly), len(watched.weighed))
        risky = await self._risks.may_exceed(account_id, weighed)
        counted, spans = [run for run in risky if run.span_total <= MAX_SPANS], 0
        for number, run in enumerate(counted):
            spans += run.span_total
            if spans > MAX_SPANS:
                counted = counted[:number]
                break
        complete = complete and len(counted) == len(risky)
        scores = await self._risks.for_runs(account_id, counted)
        alerts = [ended_alert(run) for run in ended]
        exceeding = [risk_alert(run, *scores[run.id]) for run in counted if run.id in scores]
        alerts += [alert for alert in exceeding if alert is not None]
        return Alerts(alerts, complete)
