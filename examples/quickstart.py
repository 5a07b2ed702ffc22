"""The shortest whole run: register, start, record one step, finish, read it back.

export PREFACTOR_API_URL=http://127.0.0.1:8585 PREFACTOR_API_TOKEN=...
python examples/quickstart.py
"""

import asyncio
import platform

from prefactor_http import HttpClientConfig, PrefactorHttpClient

LOOK_UP = {
    "name": "quickstart:look_up",
    "title": "Look up",
    "description": "Look something up on this machine",
    "params_schema": {
        "type": "object",
        "properties": {"what": {"type": "string"}},
        "required": ["what"],
    },
    "result_schema": {"type": "object", "properties": {"answer": {"type": "string"}}},
    "template": "{{ what }} → {{ answer }}",
}


async def main() -> None:
    """Record a run and print what the server made of it."""
    async with PrefactorHttpClient(HttpClientConfig.from_env()) as client:
        # The agent is created when its id is new; so are this version and these span types.
        run = await client.agent_instances.register(
            agent_id="quickstart",
            agent_version={"name": "Quick start", "external_identifier": "1.0.0"},
            agent_schema_version={
                "external_identifier": "1.0.0",
                "span_type_schemas": [LOOK_UP],
            },
        )
        await client.agent_instances.start(run.id)

        span = await client.agent_spans.create(
            run.id, "quickstart:look_up", status="active", payload={"what": "Python version"}
        )
        await client.agent_spans.finish(
            span.id, result_payload={"answer": platform.python_version()}
        )

        await client.agent_instances.finish(run.id)

        recorded = await client.agent_instances.get(run.id)
        print(f"run {recorded.id} is {recorded.status}")
        spans = client.agent_spans.iterate(agent_instance_id=run.id, include_summaries=True)
        async for each in spans:
            print(f"{each.schema_title}: {each.summary} ({each.status})")


if __name__ == "__main__":
    asyncio.run(main())
