"""Periodic tasks of a server: delete what has expired, and end idle runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from prefactor_server.commands.base import Request
from prefactor_server.commands.otlp_trace import EndSilentTrace
from prefactor_server.commands.writer import Writer
from prefactor_server.databases import OpenStorage
from prefactor_server.domain.errors import Refusal, Unavailable
from prefactor_server.storage.maintenance import Maintenance

_log = structlog.get_logger("prefactor_server")

_SECOND_US: Final = 1_000_000
_PRUNE_EVERY_SECONDS: Final = 60
_PRUNE_SLICE: Final = 1000
_LOOK_EVERY_SECONDS: Final = 30.0
_SILENT_SLICE: Final = 100
_ACTOR: Final = "server"


async def end_silent_traces(
    maintenance: Maintenance, writer: Writer, now_us: Callable[[], int], *, idle_minutes: int
) -> None:
    """End runs from OpenTelemetry whose spans stopped coming, until cancelled.

    Safe on several servers, because whether a run ends is decided in the transaction.
    """
    idle_us = idle_minutes * 60 * _SECOND_US
    while True:
        try:
            ended = _SILENT_SLICE
            while ended == _SILENT_SLICE:
                ended = await end_some(maintenance, writer, idle_us=idle_us, now=now_us())
        except Refusal as error:
            _log.warning("silent traces not ended", reason=error.message)
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


async def end_some(maintenance: Maintenance, writer: Writer, *, idle_us: int, now: int) -> int:
    """End the runs of some idle traces; return how many traces were examined."""
    silent = await maintenance.silent_traces(now - idle_us, _SILENT_SLICE)
    for trace in silent:
        request = Request(trace.account_id, _ACTOR, now, None, b"")
        await writer.submit([EndSilentTrace(request, trace)], 0)
    return len(silent)


async def prune(
    storage: OpenStorage, now_us: Callable[[], int], *, key_days: int, session_idle_seconds: int
) -> None:
    """Delete old keys, sessions and links, until cancelled."""
    keys_us = key_days * 86_400 * _SECOND_US
    idle_us = session_idle_seconds * _SECOND_US
    while True:
        try:
            # Small slices, so that no request waits behind a long delete.
            while await storage.forget_keys(now_us() - keys_us, _PRUNE_SLICE):
                pass
            while await storage.maintenance.forget_sign_ins(now_us(), idle_us):
                pass
        except Unavailable as error:
            _log.warning("keys and sessions not pruned", reason=error.message)
        await asyncio.sleep(_PRUNE_EVERY_SECONDS)
