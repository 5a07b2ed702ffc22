"""Sends requests: batches, heartbeats, and lookups of runs. `responses` handles the answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from prefactor_recorder.delivery.client import RequestFailed

if TYPE_CHECKING:
    from prefactor_recorder.delivery.client import ApiClient
    from prefactor_recorder.delivery.responses import ResponseHandler
    from prefactor_recorder.delivery.run_queue import Batch


class Sender:
    """Sends requests with a client, and passes each answer to the handler."""

    def __init__(self, client: ApiClient, handler: ResponseHandler) -> None:
        """Create a sender; nothing is sent yet."""
        self._client = client
        self._handler = handler
        self.in_flight = 0
        """Bulk requests in flight."""

    async def send_batch(self, batch: Batch) -> None:
        """Send a batch, and look up the runs that the answer leaves in doubt."""
        started = asyncio.get_running_loop().time()
        self.in_flight += 1
        try:
            outputs = await self._client.post_bulk(batch.encode())
        except RequestFailed as lost:
            self._handler.batch_failed(batch, lost.failure, started)
        else:
            for run_id, refusal in self._handler.batch_answered(batch, outputs, started):
                await self._look_up_run(run_id, refusal)
        finally:
            self.in_flight -= 1

    async def _look_up_run(self, run_id: str, refusal: dict[str, Any]) -> None:
        """Look up a run whose registration was rejected because its id exists."""
        try:
            exists: bool | None = await self._client.get_run(run_id) is not None
        except RequestFailed:
            exists = None
        self._handler.run_looked_up(run_id, refusal, exists=exists)

    async def poll_run(self, run_id: str) -> None:
        """Poll a run without recent responses, which may have been terminated."""
        try:
            run = await self._client.get_run(run_id)
        except RequestFailed as lost:
            self._handler.note_failure(lost.failure)
        else:
            self._handler.run_polled(run_id, run)

    async def send_heartbeat(self, ids: list[str]) -> None:
        """Tell the server that runs are active. A failed heartbeat is not retried."""
        try:
            controls = await self._client.post_heartbeat(ids)
        except RequestFailed as lost:
            self._handler.note_failure(lost.failure)
        else:
            self._handler.heartbeat_answered(controls)
