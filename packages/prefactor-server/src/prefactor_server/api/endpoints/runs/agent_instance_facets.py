"""The facets of the list of runs."""

from __future__ import annotations

from prefactor_server.api.endpoints.runs.agent_instance_filters import (
    AGENT,
    FILTERS,
    agent_filters,
)
from prefactor_server.api.kernel.listing import read_filters
from prefactor_server.api.kernel.operation import Call, Read
from prefactor_server.api.views.agent_instance_facets import AgentInstanceFacetsView, show_facets
from prefactor_server.api.views.base import Success
from prefactor_server.domain.errors import NotFound, ValidationFailed


async def _facets(call: Call) -> Success[AgentInstanceFacetsView]:
    filters = (*await agent_filters(call), *read_filters(FILTERS, call.query))
    reader = call.services.reader
    found = await reader.search.find(call.principal, filters, call.now)
    counted = await reader.agent_instance_facets.count(call.principal, filters, found)
    derived = await reader.derived.of_all(call.now)
    return Success(details=show_facets(counted, found, derived))


OPERATIONS = (
    Read(
        name="agent_instances.facets",
        cost=250,
        method="GET",
        path="/api/v1/agent_instance/facets",
        right="read",
        summary="Count runs by the values of each filter",
        description=(
            "Takes the filters of the list. Each facet counts the runs that pass all filters "
            "except its own, so that its other values can be chosen. At most the newest 2,000 runs "
            "are counted: those of agent_id or, without it, those in the range of start times or "
            "all runs. complete is false if there are more. A facet lists its 20 most frequent "
            "values, and more is the number of other values. metadata has the same for the keys of "
            "the runs' metadata."
        ),
        reply=Success[AgentInstanceFacetsView],
        refusals=(NotFound, ValidationFailed),
        parameters=(AGENT, *(one.parameter for one in FILTERS)),
        answer=_facets,
    ),
)
