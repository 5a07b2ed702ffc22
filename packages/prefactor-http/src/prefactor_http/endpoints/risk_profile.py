"""Risk profiles: how an account weighs data and actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefactor_http._transport.encoding import as_list, path_segment
from prefactor_http.endpoints._arguments import as_dict, checked, texts
from prefactor_http.endpoints._base import Endpoint, present, to_details
from prefactor_http.models.risk_profile import (
    RiskProfile,
    RiskProfileForUpdate,
    RiskProfilePreview,
    RiskProfileTemplate,
)
from prefactor_http.pages import Page, page_params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from prefactor_http._options import RequestOptions

PATH = "/api/v1/risk_profile"


class RiskProfileClient(Endpoint):
    """`client.risk_profiles`."""

    async def list(
        self,
        *,
        account_id: str | None = None,
        sorting: str | None = None,
        offset: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        options: RequestOptions | None = None,
    ) -> Page[RiskProfile]:
        """Return a page of risk profiles.

        Args:
            account_id: Only profiles of this account; the token's own by default.
            sorting: Field to sort by, with a leading `-` for descending order.
            offset: Rows to skip.
            page_size: Rows per page, 1 to 100.
            after: Cursor from `pagination.next_after` of the previous page.
            options: Limits and headers of this call only.
        """
        paging = page_params(sorting=sorting, offset=offset, page_size=page_size, after=after)
        return await self._page(PATH, {"account_id": account_id} | paging, RiskProfile, options)

    def iterate(
        self,
        *,
        account_id: str | None = None,
        sorting: str | None = None,
        page_size: int | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncIterator[RiskProfile]:
        """Iterate over all risk profiles that `list` returns."""
        return self._walk(
            PATH,
            {"account_id": account_id},
            RiskProfile,
            sorting=sorting,
            page_size=page_size,
            options=options,
        )

    async def get(
        self, risk_profile_id: str, *, options: RequestOptions | None = None
    ) -> RiskProfile:
        """Read one risk profile.

        Raises:
            PrefactorNotFoundError: The risk profile does not exist.
        """
        reply = await self._read(_path(risk_profile_id), None, options)
        return to_details(reply, RiskProfile, "risk_profiles.get")

    async def template(
        self, template_name: str | None = None, *, options: RequestOptions | None = None
    ) -> RiskProfileTemplate:
        """Read a ruleset to start from.

        Args:
            template_name: Its name; `default` by default.
            options: Limits and headers of this call only.

        Raises:
            PrefactorValidationError: The template does not exist.
        """
        params = {"template_name": template_name}
        reply = await self._read(f"{PATH}/template", params, options)
        return to_details(reply, RiskProfileTemplate, "risk_profiles.template")

    async def preview(
        self,
        agent_instance_ids: Iterable[str],
        details: Mapping[str, Any] | RiskProfileForUpdate,
        *,
        risk_profile_id: str | None = None,
        options: RequestOptions | None = None,
    ) -> RiskProfilePreview:
        """Score runs by rules that are not stored.

        Args:
            agent_instance_ids: The runs, 1 to 50.
            details: The rules, in the form that `update` takes.
            risk_profile_id: The profile that supplies omitted rules; a new one by default.
            options: Limits and headers of this call only.

        Raises:
            ValueError: The API does not accept a value.
            PrefactorNotFoundError: The risk profile does not exist.
            PrefactorValidationError: The server rejected the rules.
        """
        part = as_dict("details", details) or {}
        checked(RiskProfileForUpdate, part, within="details")
        body = {
            **part,
            "agent_instance_ids": as_list("agent_instance_ids", agent_instance_ids),
            "risk_profile_id": risk_profile_id,
        }
        reply = await self._http.request("POST", f"{PATH}/preview", json_data=body, options=options)
        return to_details(reply, RiskProfilePreview, "risk_profiles.preview")

    async def create(
        self,
        *,
        name: str,
        description: str | None = None,
        category_weights: Mapping[str, Any] | None = None,
        action_multipliers: Mapping[str, Any] | None = None,
        thresholds: Mapping[str, Any] | None = None,
        agreed_risk: str | None = None,
        ruleset: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> RiskProfile:
        """Create a risk profile.

        Args:
            name: Its name.
            description: Its purpose.
            category_weights: Weight from 0 to 10 by data category.
            action_multipliers: Multiplier by kind of action.
            thresholds: Lower bounds of the levels.
            agreed_risk: The level that runs may reach without an alert.
            ruleset: Weights, multipliers and thresholds as plain numbers, instead of the three
                arguments. Omitted values and None default to the template's.
            idempotency_key: At most 64 characters; generated by default.
            options: Limits and headers of this call only.

        Raises:
            ValueError: The key is too long.
            PrefactorValidationError: The server rejected the content.
        """
        key = self._key(idempotency_key)
        details = texts(name=name, description=description, agreed_risk=agreed_risk) | present(
            category_weights=as_dict("category_weights", category_weights),
            action_multipliers=as_dict("action_multipliers", action_multipliers),
            thresholds=as_dict("thresholds", thresholds),
            ruleset=as_dict("ruleset", ruleset),
        )
        reply = await self._write("POST", PATH, {"details": details}, key, options)
        return to_details(reply, RiskProfile, "risk_profiles.create")

    async def update(
        self,
        risk_profile_id: str,
        details: Mapping[str, Any] | RiskProfileForUpdate,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> RiskProfile:
        """Change a risk profile, which also changes the scores of past runs.

        Absent fields do not change. None removes the description or the agreed risk.

        Raises:
            ValueError: The key is too long, or the API does not accept a value.
            PrefactorConflictError: It has another `updated_at` than `previous_updated_at`.
            PrefactorNotFoundError: The risk profile does not exist.
            PrefactorValidationError: The server rejected the content.
        """
        part = as_dict("details", details) or {}
        checked(RiskProfileForUpdate, part, within="details")
        key = self._key(idempotency_key)
        reply = await self._write("PUT", _path(risk_profile_id), {"details": part}, key, options)
        return to_details(reply, RiskProfile, "risk_profiles.update")

    async def delete(
        self,
        risk_profile_id: str,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> RiskProfile | None:
        """Delete a risk profile. Return its last state if the server sends it.

        Raises:
            PrefactorConflictError: Something still refers to it.
        """
        reply = await self._delete(_path(risk_profile_id), idempotency_key, options)
        return (
            to_details(reply, RiskProfile, "risk_profiles.delete") if reply.get("details") else None
        )


def _path(risk_profile_id: str) -> str:
    return f"{PATH}/{path_segment('risk_profile_id', risk_profile_id)}"
