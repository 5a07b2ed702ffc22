"""Lists without what is not there for their caller; see ``Principal.sees``."""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.listing import Filter, Listing


def within_sight(principal: Principal, listing: Listing) -> Listing:
    """A list of runs or spans, without those that are not there for a caller."""
    if principal.scope == "account":
        return listing
    return listing._replace(
        filters=(
            *listing.filters,
            Filter("agent_id", "=", principal.agent_id),
            Filter("environment_id", "=", principal.environment_id),
        )
    )
