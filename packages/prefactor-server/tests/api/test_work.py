"""The time slices of one request, where its transport is not the usual one."""

import time
from typing import Any

from prefactor_server.api.kernel.work import Work


async def test_a_transport_that_never_waits_is_harmless() -> None:
    """A transport that always answers at once does not stop long work."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    work = Work(receive)
    for _ in range(10):
        time.sleep(0.01)  # noqa: ASYNC251 - stands for ten milliseconds of checks
        await work.pause()
    work.close("request-1")
