"""Print a recorded run as a tree, read through the client.

export PREFACTOR_API_URL=http://127.0.0.1:8585 PREFACTOR_API_TOKEN=...
python examples/read_back.py                the latest run
python examples/read_back.py 01jd...        the run with this id
"""

import argparse
import asyncio
import shutil
import sys

from run_tree import printable, render

from prefactor_http import (
    AgentInstance,
    HttpClientConfig,
    PrefactorHttpClient,
    PrefactorHttpError,
    PrefactorNotFoundError,
)


async def latest_run(client: PrefactorHttpClient) -> AgentInstance | None:
    """Return the run that was registered last."""
    page = await client.agent_instances.list(sorting="-inserted_at", page_size=1)
    return page[0] if page else None


async def shown_run(client: PrefactorHttpClient, run: AgentInstance, *, width: int) -> list[str]:
    """Return a run as lines of text: what ran, how it went, and every step of it."""
    spans = client.agent_spans.iterate(agent_instance_id=run.id, include_summaries=True)
    tree = render(run, [span async for span in spans], width=width)
    return [f"{await agent_name(client, run)}", f"run {run.id}: {tree[0]}", *tree[1:]]


async def agent_name(client: PrefactorHttpClient, run: AgentInstance) -> str:
    """Return the name of the agent that ran, and its version as far as the server tells."""
    agent = await client.agents.get(run.agent_id)
    try:
        version = await client.agent_versions.get(run.agent_version_id)
    except PrefactorNotFoundError:
        # A server need not serve versions by themselves.
        return printable(f"{agent.name}, version {run.agent_version_id}")
    return printable(f"{agent.name}, version {version.external_identifier or version.id}")


async def show(run_id: str | None, width: int) -> int:
    """Print a run; the exit status."""
    async with PrefactorHttpClient(HttpClientConfig.from_env()) as client:
        if run_id is None:
            run = await latest_run(client)
        else:
            run = await client.agent_instances.get(run_id)
        if run is None:
            print("Nothing has been recorded yet.", file=sys.stderr)
            return 1
        print("\n".join(await shown_run(client, run, width=width)))
        return 0


def main() -> int:
    """Read the command line, print a run, and return the exit status."""
    parser = argparse.ArgumentParser(description="Print a recorded run as a tree.")
    parser.add_argument("run_id", nargs="?", help="its id; the latest run by default")
    given = parser.parse_args()
    try:
        return asyncio.run(show(given.run_id, shutil.get_terminal_size((100, 24)).columns))
    except (PrefactorHttpError, ValueError) as error:
        print(f"Cannot read: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
