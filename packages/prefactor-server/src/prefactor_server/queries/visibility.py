"""What a caller may see: an account token all of its account, a deployment token its own agent's.

A deployment token knows only its own agent in its own environment. The rest is not refused but
absent, so that such a token cannot be used to find out what else there is.
"""

from __future__ import annotations

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.listing import Filter, Listing


def sees(principal: Principal, agent_id: str, environment_id: str) -> bool:
    """Whether what belongs to an agent in an environment is there for a caller."""
    if principal.scope == "account":
        return True
    return principal.agent_id == agent_id and principal.environment_id == environment_id


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
