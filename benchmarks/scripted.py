"""A scripted server of `prefactor_http.testing` in a process of its own.

Argument: the idle limit in seconds. Prints its address and the id of an active agent instance;
when its standard input ends, prints how often each write was applied, by its `write` payload,
and ends. It is not idempotent, so a write that was sent twice is counted twice.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from prefactor_http.testing import ScriptedServer


async def main() -> None:
    """Serve until the end of standard input."""
    idle_limit = float(sys.argv[1])
    async with ScriptedServer(idle_limit=idle_limit, idempotent=False) as server:
        print(server.url, server.add_instance(), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        print(json.dumps(Counter(span["payload"]["write"] for span in server.spans.values())))


asyncio.run(main())
