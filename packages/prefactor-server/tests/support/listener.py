"""An API behind a real socket, in the test's own event loop.

Uvicorn's `Server` is not used, because it checks only every tenth of a second whether it should
end, and then waits for another: more than most tests take. The connections are those of the
product.
"""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from uvicorn.server import ServerState

from prefactor_server.api import Api
from prefactor_server.http.connection import connections
from prefactor_server.http.stalled_connections import abort_stalled


@asynccontextmanager
async def listening(
    api: Api, *, send_buffer: int = 0, send_timeout: int = 0
) -> AsyncGenerator[str]:
    """Accept requests until the end of the block, and answer them; yields the address.

    ``send_buffer`` is the size of the system's buffer for a client that does not read. A client
    that reads nothing for ``send_timeout`` seconds is disconnected.
    """
    kind = connections(60, os.urandom)
    config = uvicorn.Config(
        api, http=kind, ws="none", lifespan="off", log_config=None, access_log=False
    )
    config.load()
    state = ServerState()
    state.default_headers = config.encoded_headers
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: kind(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    if send_buffer:
        # Connections inherit the options of their listener.
        server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    stalled = asyncio.create_task(abort_stalled(state.connections, send_timeout))
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        stalled.cancel()
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        await asyncio.gather(*state.tasks)
        await server.wait_closed()
