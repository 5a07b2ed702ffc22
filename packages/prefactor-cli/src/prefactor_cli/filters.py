"""The flags that select runs, as filters of the API."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

import cyclopts

from prefactor_cli.errors import is_missing
from prefactor_cli.failure import NOT_FOUND, USAGE, Failure
from prefactor_cli.flags import Texts
from prefactor_cli.times import read_moment, read_seconds
from prefactor_http import PrefactorHttpClient, PrefactorNotFoundError

T = TypeVar("T")

_GROUP: Final = cyclopts.Group("Filters", sort_key=5)
_MAX_NAMES: Final = 1000


@dataclass(frozen=True)
class RunFilters:
    """Filters for runs. Only runs that pass all of them are selected."""

    agent: Texts = ()
    """Only runs of this agent, by id or external identifier. May be repeated."""
    status: Literal["pending", "active", "complete", "failed", "cancelled", "terminated"] | None = (
        None
    )
    """Only runs with this status."""
    environment: str | None = None
    """Only runs in this environment, by id or name."""
    version: str | None = None
    """Only runs of this version of one agent, by id or external identifier."""
    purpose: Literal["live", "smoke_test", "eval"] | None = None
    """Only runs for this purpose."""
    external_id: str | None = None
    """Only the run with this external identifier."""
    since: str | None = None
    """Only runs started at this time or later: 30m, 2h, 3d, today, 2026-01-31,
    2026-01-31T12:00Z."""
    until: str | None = None
    """Only runs started before this time."""
    ended_since: str | None = None
    """Only runs that ended at this time or later."""
    ended_until: str | None = None
    """Only runs that ended before this time."""
    min_duration: str | None = None
    """Only ended runs that took at least this long: seconds, or 500ms, 90s, 5m, 1h30m."""
    max_duration: str | None = None
    """Only ended runs that took at most this long."""
    min_cost: float | None = None
    """Only runs that cost at least this much, in the currency of the server's prices."""
    risk: Literal["low", "medium", "high", "critical"] | None = None
    """Only runs with this risk level."""
    failed_spans: bool | None = None
    """Only runs with failed spans, or only runs without."""
    abandoned: bool | None = None
    """Only active runs whose agents fell silent, or only others."""
    span_type: str | None = None
    """Only runs with a span of this type, such as agent:llm."""
    metadata: Texts = ()
    """Only runs with this text in their metadata, as KEY=TEXT. May be repeated."""


Filters: TypeAlias = Annotated[RunFilters | None, cyclopts.Parameter(name="*", group=_GROUP)]
"""The flags that select runs, for any command."""


async def api_filters(client: PrefactorHttpClient, flags: RunFilters | None) -> dict[str, Any]:
    """Return the filters under the client's names.

    Raises:
        Failure: A flag is invalid, or names something unknown.
    """
    flags = flags or RunFilters()
    moment = functools.partial(read_moment, now=datetime.now(UTC))
    found: dict[str, Any] = {
        "status": flags.status,
        "purpose": flags.purpose,
        "external_identifier": flags.external_id,
        "started_after": _read("--since", flags.since, moment),
        "started_before": _read("--until", flags.until, moment),
        "finished_after": _read("--ended-since", flags.ended_since, moment),
        "finished_before": _read("--ended-until", flags.ended_until, moment),
        "min_duration": _read("--min-duration", flags.min_duration, read_seconds),
        "max_duration": _read("--max-duration", flags.max_duration, read_seconds),
        "min_cost": flags.min_cost,
        "risk_level": flags.risk,
        "has_failed_spans": flags.failed_spans,
        "abandoned": flags.abandoned,
        "schema_name": flags.span_type,
        "metadata": _pairs(flags.metadata) or None,
    }
    agents = [await agent_id(client, given) for given in flags.agent]
    if len(agents) == 1:
        (found["agent_id"],) = agents
    elif agents:
        found["agent_ids"] = agents
    if flags.environment is not None:
        found["environment_id"] = await environment_id(client, flags.environment)
    if flags.version is not None:
        if len(flags.agent) > 1:
            message = "--version: belongs to one agent, but several --agent were given"
            raise Failure(message, USAGE)
        agent = flags.agent[0] if flags.agent else None
        found["agent_version_id"] = await version_id(client, agent, flags.version)
    return {name: value for name, value in found.items() if value is not None}


async def environment_id(client: PrefactorHttpClient, given: str) -> str:
    """Return the id of an environment, given its id or name."""
    names: list[str] = []
    async for one in client.environments.iterate():
        if given in {one.id, one.name}:
            return one.id
        names.append(one.name or one.id)
        if len(names) >= _MAX_NAMES:
            return given
    message = f"--environment: there is no {given!r}, only {', '.join(map(repr, names[:10]))}"
    raise Failure(message, NOT_FOUND)


async def version_id(client: PrefactorHttpClient, agent: str | None, given: str) -> str:
    """Return the id of an agent's version, given its id or external identifier."""
    try:
        return (await client.agent_versions.get(given)).id
    except PrefactorNotFoundError as error:
        if not is_missing(error):
            raise
    if agent is None:
        message = (
            f"--version: {given!r} is not an id; for an external identifier, give --agent as well"
        )
        raise Failure(message, USAGE)
    known = await agent_id(client, agent)
    async for one in client.agent_versions.iterate(known):
        if given == one.external_identifier:
            return one.id
    message = f"--version: agent {agent!r} has no version {given!r}"
    raise Failure(message, NOT_FOUND)


async def agent_id(client: PrefactorHttpClient, given: str) -> str:
    """Return the id of an agent, given its id or external identifier."""
    try:
        return (await client.agents.show(agent_id=given)).id
    except PrefactorNotFoundError as error:
        if not is_missing(error):
            raise
    try:
        return (await client.agents.show(external_identifier=given)).id
    except PrefactorNotFoundError:
        message = f"There is no agent {given!r}: `prefactor agents list` shows all of them"
        raise Failure(message, NOT_FOUND) from None


def _read(flag: str, text: str | None, read: Callable[[str], T]) -> T | None:
    try:
        return None if text is None else read(text)
    except ValueError as error:
        message = f"{flag}: {error}"
        raise Failure(message, USAGE) from None


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark or not key:
            message = f"--metadata: must be KEY=TEXT, got {text!r}"
            raise Failure(message, USAGE)
        if pairs.setdefault(key, value) != value:
            message = f"--metadata: {key!r} has one text in a run, and two were given"
            raise Failure(message, USAGE)
    return pairs
