"""Marks runs whose agents fell silent as abandoned, and ends runs that stay abandoned.

Every server stores the heartbeats that it receives. Only the server with the lease looks for runs
without heartbeats. The transaction that marks or ends a run checks again whether it is silent, so
no harm is done if two servers look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from prefactor_server.background import repeat
from prefactor_server.commands.base import Request
from prefactor_server.commands.runs.abandoned_run import EndAbandoned, MarkAbandoned
from prefactor_server.commands.runs.heartbeat_buffer import HeartbeatBuffer
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.errors import Refusal
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.silence import Uptime, silent_before
from prefactor_server.domain.times import DAY_US, HOUR_US, MINUTE_US
from prefactor_server.follower.lease import Lease
from prefactor_server.storage.base import Storage

_log = structlog.get_logger("prefactor_server")

_LOOK_EVERY_SECONDS: Final = 20.0
_LEASE_US: Final = MINUTE_US
_SLICE: Final = 100
# A request waits a few milliseconds behind this number of writes.
_STORED_AT_ONCE: Final = 2000
_FORGET_SLICE: Final = 1000
_FORGET_EVERY_US: Final = 10 * MINUTE_US
# How long to watch a run that another process continues by delivering its spool.
_KEEP_MARKED_US: Final = 7 * DAY_US
_ACTOR: Final = "server"


class SilenceLimits(NamedTuple):
    """How long a run may be silent, in microseconds; 0 means forever.

    ``abandoned`` counts from the last heartbeat or write, ``end`` from the mark, and ``unwritten``
    from the last write of a run without heartbeats.
    """

    abandoned: int
    end: int
    unwritten: int

    @classmethod
    def of(cls, abandoned_minutes: int, end_minutes: int, unwritten_days: int) -> SilenceLimits:
        """Return limits from their settings."""
        return cls(abandoned_minutes * MINUTE_US, end_minutes * MINUTE_US, unwritten_days * DAY_US)


class AbandonedRuns:
    """Watches the active runs of all accounts."""

    def __init__(
        self,
        storage: Storage,
        writer: Writer,
        limits: SilenceLimits,
        *,
        holder: str,
        now_us: Callable[[], int],
    ) -> None:
        self._storage = storage
        self._heartbeats = storage.heartbeats
        self._writer = writer
        self._limits = limits
        self._now_us = now_us
        self._lease = Lease(
            storage.feed, holder, now_us, name="abandoned_runs", duration_us=_LEASE_US
        )
        now = now_us()
        # Records that clients spooled while no server was up have to arrive first.
        self._unwritten_at = now + HOUR_US
        self._forget_at = now + _FORGET_EVERY_US

    async def run(self, buffer: HeartbeatBuffer) -> None:
        """Store heartbeats and look for silent runs repeatedly, until cancelled."""

        async def step() -> float:
            await self.turn(buffer)
            return _LOOK_EVERY_SECONDS

        try:
            await repeat(step, task="abandoned_runs")
        finally:
            # Without the release, the lease expires.
            with suppress(Refusal):
                await self._lease.release()

    async def turn(self, buffer: HeartbeatBuffer) -> None:
        """Store heartbeats and, if this server gets the lease, look for silent runs.

        A server without runs to watch writes nothing.

        Raises:
            Unavailable: the database cannot be used now; the rest is done the next time.
        """
        while heartbeats := buffer.pending(_STORED_AT_ONCE):
            await self._heartbeats.record(heartbeats)
            buffer.stored(heartbeats)
        waiting = await self._heartbeats.is_waiting()
        unwritten = self._limits.unwritten > 0 and self._now_us() >= self._unwritten_at
        if unwritten:
            # Also without the lease, so that this server does not ask for it at every turn.
            self._unwritten_at = self._now_us() + HOUR_US
        if not (waiting or unwritten) or not await self._lease.take():
            return
        if waiting:
            uptime = await self._heartbeats.extend_uptime(self._now_us())
            await self._mark_silent(uptime)
            await self._end_abandoned(uptime)
            await self._forget()
        if unwritten:
            await self._mark_unwritten()

    async def _mark_silent(self, uptime: Sequence[Uptime]) -> None:
        before = self._before(uptime, self._limits.abandoned)
        found: Sequence[AgentInstance] = ()
        while before is not None:
            found = await self._heartbeats.silent(before, _SLICE)
            await self._mark(found, before)
            if len(found) < _SLICE:
                return

    async def _mark_unwritten(self) -> None:
        before = self._now_us() - self._limits.unwritten
        for account in await self._storage.accounts():
            after: str | None = ""
            while after is not None:
                found = await self._heartbeats.unwritten(account.id, before, after, _SLICE)
                await self._mark(found, before)
                after = found[-1].id if len(found) == _SLICE else None

    async def _mark(self, runs: Sequence[AgentInstance], before: int) -> None:
        marks = [MarkAbandoned(self._request(run), run.id, before) for run in runs]
        if marks:
            await self._writer.submit(marks, 0)

    async def _end_abandoned(self, uptime: Sequence[Uptime]) -> None:
        before = self._before(uptime, self._limits.end)
        while before is not None:
            found = await self._heartbeats.abandoned(before, _SLICE)
            ends = [EndAbandoned(self._request(run), run.id, before) for run in found]
            if ends:
                await self._writer.submit(ends, 0)
            if len(found) < _SLICE:
                return

    async def _forget(self) -> None:
        now = self._now_us()
        if now < self._forget_at:
            return
        before, marked_before = now - _FORGET_EVERY_US, now - _KEEP_MARKED_US
        while await self._heartbeats.forget(before, marked_before, _FORGET_SLICE):
            pass
        self._forget_at = now + _FORGET_EVERY_US

    @staticmethod
    def _before(uptime: Sequence[Uptime], limit: int) -> int | None:
        return silent_before(uptime, limit) if limit else None

    def _request(self, run: AgentInstance) -> Request:
        return Request(run.account_id, _ACTOR, self._now_us())
