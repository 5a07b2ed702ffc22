"""Every filter that the client has for runs is a flag."""

import inspect

from prefactor_cli.filters import RunFilters, api_filters
from prefactor_http import HttpClientConfig, PrefactorHttpClient

FLAGS = RunFilters(
    status="failed",
    purpose="eval",
    external_id="e",
    since="3d",
    until="2d",
    ended_since="2d",
    ended_until="1d",
    min_duration="1",
    max_duration="2",
    min_cost=1,
    risk="high",
    failed_spans=False,
    abandoned=True,
    span_type="agent:llm",
    metadata=("release=v1",),
)
NOT_FILTERS = {"self", "sorting", "offset", "page_size", "after", "include_totals", "options"}
LOOKED_UP = {"agent_id", "agent_ids", "environment_id", "agent_version_id"}
"""Filters whose flags take names and identifiers, which the command looks up."""
ELSEWHERE = {"text"}
"""A filter that is an argument of `prefactor search`."""


async def test_every_filter_of_the_client_is_a_flag() -> None:
    """The command line has a flag for every filter of the client."""
    client = PrefactorHttpClient(HttpClientConfig("http://127.0.0.1:9", "unused"))
    known = inspect.signature(client.agent_instances.list).parameters.keys()

    given = await api_filters(client, FLAGS)

    assert given.keys() | LOOKED_UP | ELSEWHERE == known - NOT_FILTERS
