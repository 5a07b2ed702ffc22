"""How a program's steps become spans: everything about Prefactor that this agent needs.

    async with record_run(client, agent_id="my-agent", ...) as run:
        async with run.step("agent:search", {"terms": "red shoes"}) as search:
            async with run.step("agent:read_file", {"path": "a.md"}, under=search) as reading:
                reading.result = {"lines": 12}
            search.result = {"hits": 3}

A step that raises is recorded as failed with its error, and the exception goes on its way. A step
that is cancelled is recorded as cancelled. The same holds for the run as a whole.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from prefactor_http import FinishStatus, PrefactorHttpClient

JsonObject = dict[str, Any]


@dataclass
class Step:
    """A span that has begun; what is put into `result` is recorded when it ends."""

    id: str
    result: JsonObject = field(default_factory=dict)


class Run:
    """A run that is being recorded: the agent instance `id`."""

    def __init__(self, client: PrefactorHttpClient, id: str) -> None:
        """Record steps for a registered agent instance."""
        self.id = id
        self._client = client

    @asynccontextmanager
    async def step(
        self, schema_name: str, payload: JsonObject, *, under: Step | None = None
    ) -> AsyncIterator[Step]:
        """Record what happens inside the block as one span, below another one if given."""
        span = await self._client.agent_spans.create(
            self.id,
            schema_name,
            status="active",
            payload=payload,
            parent_span_id=under.id if under else None,
        )
        step = Step(span.id)
        try:
            yield step
        except BaseException as error:
            result = {**step.result, "error": described(error)}
            await self._client.agent_spans.finish(step.id, ending(error), result)
            raise
        await self._client.agent_spans.finish(step.id, "complete", step.result)


@asynccontextmanager
async def record_run(
    client: PrefactorHttpClient,
    *,
    agent_id: str,
    version: JsonObject,
    span_types: list[JsonObject],
) -> AsyncIterator[Run]:
    """Register a run of an agent, start it, and finish it when the block ends."""
    instance = await client.agent_instances.register(
        agent_id,
        agent_version=version,
        agent_schema_version={
            "external_identifier": version["external_identifier"],
            "span_type_schemas": span_types,
        },
    )
    await client.agent_instances.start(instance.id)
    try:
        yield Run(client, instance.id)
    except BaseException as error:
        await client.agent_instances.finish(instance.id, ending(error))
        raise
    await client.agent_instances.finish(instance.id, "complete")


def ending(error: BaseException) -> FinishStatus:
    """Return how a block that this exception left has ended."""
    stopped = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
    return "cancelled" if stopped else "failed"


def described(error: BaseException) -> JsonObject:
    """Return an exception in the form in which spans carry errors."""
    return {"error_type": type(error).__name__, "message": str(error)}
