"""The use of versions: how often a name repeats, and where a version is current."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from prefactor_server.domain.agent_schema_version import AgentSchemaVersion
from prefactor_server.domain.agent_version import AgentVersion
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.storage.base import CurrentVersion, Storage

V = TypeVar("V", AgentVersion, AgentSchemaVersion)


class VersionUse(NamedTuple, Generic[V]):
    """A version or schema version of an agent.

    ``repeats`` counts the agent's versions with the same external identifier, including this one,
    and is 0 without an identifier. ``deployment_ids`` are the deployments in which it is current.
    """

    row: V
    repeats: int
    deployment_ids: Sequence[str]


def scoped_to_agent(principal: Principal, listing: Listing) -> Listing:
    """Restrict a list to a deployment token's own agent."""
    if principal.agent_id is None:
        return listing
    own = Filter("agent_id", "=", principal.agent_id)
    return listing._replace(filters=(*listing.filters, own))


async def find_uses(
    storage: Storage,
    principal: Principal,
    rows: Sequence[V],
    version_id: Callable[[CurrentVersion], str],
) -> list[VersionUse[V]]:
    """Return the use of each version, as far as the caller may see it."""
    by_agent: dict[str, list[V]] = defaultdict(list)
    for row in rows:
        by_agent[row.agent_id].append(row)
    repeats: dict[tuple[str, str | None], int] = {}
    deployments: dict[str, list[str]] = defaultdict(list)
    for agent_id, own in by_agent.items():
        counts = await _counts(storage, principal.account_id, own)
        repeats |= {(agent_id, name): number for name, number in counts.items()}
        for current in await storage.current_versions(principal.account_id, agent_id):
            if principal.agent_deployment_id in (None, current.agent_deployment_id):
                deployments[version_id(current)].append(current.agent_deployment_id)
    return [
        VersionUse(
            row, repeats.get((row.agent_id, row.external_identifier), 0), deployments[row.id]
        )
        for row in rows
    ]


async def _counts(storage: Storage, account_id: str, rows: Sequence[V]) -> Mapping[str, int]:
    names = {row.external_identifier for row in rows if row.external_identifier is not None}
    return await storage.identifier_counts(type(rows[0]), account_id, rows[0].agent_id, names)
