"""The retention policy: how long runs are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefactor_http.endpoints._arguments import as_dict, as_dicts, checked
from prefactor_http.endpoints._base import Endpoint, present, to_details
from prefactor_http.models.retention_policy import (
    RetentionPolicy,
    RetentionPolicyForUpdate,
    RetentionPreview,
    RetentionRuleForUpdate,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prefactor_http._options import RequestOptions

PATH = "/api/v1/retention_policy"


class RetentionPolicyClient(Endpoint):
    """`client.retention_policies`."""

    async def show(self, *, options: RequestOptions | None = None) -> RetentionPolicy:
        """Read the account's policy. Without rules, nothing is deleted.

        Needs the right `administer`.
        """
        reply = await self._read(PATH, None, options)
        return to_details(reply, RetentionPolicy, "retention_policies.show")

    async def update(
        self,
        details: Mapping[str, Any] | RetentionPolicyForUpdate,
        idempotency_key: str | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> RetentionPolicy:
        """Change the policy. Omitted fields do not change, and `rules` replaces all rules.

        With `previous_updated_at`, nothing changes if the policy has another `updated_at`.

        Raises:
            ValueError: The key is too long, or the API does not accept a value.
            PrefactorConflictError: Somebody else has changed the policy since.
            PrefactorValidationError: The server rejected the rules.
        """
        part = as_dict("details", details) or {}
        checked(RetentionPolicyForUpdate, part, within="details")
        key = self._key(idempotency_key)
        reply = await self._write("PUT", PATH, {"details": part}, key, options)
        return to_details(reply, RetentionPolicy, "retention_policies.update")

    async def preview(
        self,
        rules: Sequence[Mapping[str, Any] | RetentionRuleForUpdate] | None = None,
        *,
        options: RequestOptions | None = None,
    ) -> RetentionPreview:
        """Count what the policy, or other rules, would delete now.

        Args:
            rules: The rules to try; those of the policy by default.
            options: Limits and headers of this call only.

        Raises:
            ValueError: The API does not accept a value.
            PrefactorValidationError: The server rejected the rules.
        """
        body = present(rules=as_dicts("rules", rules))
        checked(RetentionPolicyForUpdate, body)
        reply = await self._http.request("POST", f"{PATH}/preview", json_data=body, options=options)
        return to_details(reply, RetentionPreview, "retention_policies.preview")
