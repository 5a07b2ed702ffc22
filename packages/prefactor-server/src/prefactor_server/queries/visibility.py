"""Restricts lists to what their caller may see; see ``Principal.can_see``."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.listing import Filter, Listing


def scoped_to(principal: Principal, listing: Listing) -> Listing:
    """Restrict a list of runs or spans to those that the caller may see."""
    if principal.scope == "account":
        return listing
    return listing._replace(
        filters=(
            *listing.filters,
            Filter("agent_id", "=", principal.agent_id),
            Filter("environment_id", "=", principal.environment_id),
        )
    )
