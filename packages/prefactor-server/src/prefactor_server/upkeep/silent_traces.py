"""Ends runs from OpenTelemetry that get no more spans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prefactor_server.background import repeat
from prefactor_server.commands.base import Request
from prefactor_server.commands.otlp_trace import EndSilentTrace
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.times import MINUTE_US
from prefactor_server.storage.maintenance import Maintenance

_LOOK_EVERY_SECONDS: Final = 30.0
_SILENT_SLICE: Final = 100
_ACTOR: Final = "server"


async def end_silent_traces(
    maintenance: Maintenance, writer: Writer, now_us: Callable[[], int], *, idle_minutes: int
) -> None:
    """End runs that got no span for ``idle_minutes``, looking every 30 seconds until cancelled.

    Several servers may do this at once: the transaction decides whether a run ends.
    """
    idle_us = idle_minutes * MINUTE_US

    async def step() -> float:
        ended = _SILENT_SLICE
        while ended == _SILENT_SLICE:
            ended = await end_some(maintenance, writer, idle_us=idle_us, now=now_us())
        return _LOOK_EVERY_SECONDS

    await repeat(step, task="silent_traces")


async def end_some(maintenance: Maintenance, writer: Writer, *, idle_us: int, now: int) -> int:
    """End the runs of up to 100 idle traces; return how many traces were examined."""
    silent = await maintenance.silent_traces(now - idle_us, _SILENT_SLICE)
    for trace in silent:
        request = Request(trace.account_id, _ACTOR, now)
        await writer.submit([EndSilentTrace(request, trace)], 0)
    return len(silent)
