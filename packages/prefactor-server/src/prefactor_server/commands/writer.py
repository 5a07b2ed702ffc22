"""The writer: many requests, one commit.

Requests that arrive while a batch commits become the next batch, by themselves and without a timer.
Nobody hears of a write before its batch is durable, so a caller cannot tell this from a
transaction of its own: when the server dies, whole unanswered requests are gone, and their
idempotency keys make it safe to repeat them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from prefactor_server.commands.base import (
    Command,
    Outcome,
    Submission,
    collect_needs,
    decide_batch,
)
from prefactor_server.commands.observer import WriteObserver
from prefactor_server.domain.errors import Contended, Overloaded, Refusal, Unavailable
from prefactor_server.storage.base import Snapshot, Storage

MAX_BATCH_COMMANDS: Final = 2000
"""Commands in one commit: a larger batch saves next to nothing and delays its first."""


class _Waiting(NamedTuple):
    submission: Submission
    outcomes: asyncio.Future[list[Outcome]]


class Writer:
    """Takes submissions from every request and commits them in batches.

    ``max_queue_bytes`` bounds what may wait; beyond it callers are told to come back.
    ``concurrency`` is how many batches the storage can usefully commit at a time. ``on_commit`` is
    called after each; it has to be quick, and must not raise.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        max_queue_bytes: int,
        concurrency: int = 1,
        observer: WriteObserver | None = None,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        self._storage = storage
        self._on_commit = on_commit
        self._observer = observer
        self._max_queue_bytes = max_queue_bytes
        self._concurrency = concurrency
        self._waiting: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._working = 0
        self._closed = False

    @property
    def queued_bytes(self) -> int:
        """The size of the requests whose batch has not been committed."""
        return self._queued_bytes

    @property
    def queued_requests(self) -> int:
        """How many requests wait for their batch to begin."""
        return len(self._waiting)

    async def submit(self, commands: Sequence[Command], size: int) -> list[Outcome]:
        """Carry out a request's commands in order, and return when that is durable.

        Args:
            commands: at least one; the first that is not done ends the submission.
            size: the bytes of the request, which count towards the bound of the queue.

        Returns:
            The outcomes, up to and including that of the first command that was not done.

        Raises:
            Overloaded: too much is waiting already; nothing was done.
            Unavailable: the storage cannot write now; nothing was done, unless it is
                ``OutcomeUnknown``.
        """
        if self._closed:
            raise Unavailable("The server is shutting down: send the request again")
        if self._queued_bytes and self._queued_bytes + size > self._max_queue_bytes:
            raise Overloaded("Too many writes are waiting: send the request again later")
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(Submission(tuple(commands), size), future))
        self._queued_bytes += size
        self._start_worker()
        # A caller that goes away cancels this future and nothing else: its batch, which holds the
        # writes of others, belongs to the worker.
        return await future

    async def close(self) -> None:
        """Take no more, and return when everything that was taken is durable or refused."""
        self._closed = True
        while self._workers:
            await asyncio.wait(tuple(self._workers))

    def _start_worker(self) -> None:
        if self._working < self._concurrency:
            self._working += 1
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._commit(self._take_batch())
        finally:
            # Counted here and not by who is in ``_workers``: that holds a worker for a moment after
            # its last look at the queue, and what came in between would wait forever.
            self._working -= 1

    def _take_batch(self) -> list[_Waiting]:
        batch = [self._waiting.popleft()]
        size = len(batch[0].submission.commands)
        while self._waiting:
            size += len(self._waiting[0].submission.commands)
            if size > MAX_BATCH_COMMANDS:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        try:
            outcomes = await self._transact([waiting.submission for waiting in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, its callers have to hear of it
            if self._observer is not None:
                self._observer.failed()
            await self._settle_failure(batch, error)
        else:
            for waiting, result in zip(batch, outcomes, strict=True):
                self._settle(waiting, result)
            if self._on_commit is not None:
                self._on_commit()

    async def _transact(self, submissions: Sequence[Submission]) -> list[list[Outcome]]:
        def decide(snapshots: Mapping[str, Snapshot]) -> list[list[Outcome]]:
            return decide_batch(submissions, snapshots)

        observer = self._observer
        if observer is None:
            return await self._storage.transact(collect_needs(submissions), decide)
        begun = observer.timer()
        outcomes = await self._storage.transact(collect_needs(submissions), decide)
        observer.committed(submissions, outcomes, observer.timer() - begun)
        return outcomes

    async def _settle_failure(self, batch: list[_Waiting], error: Exception) -> None:
        # One request that breaks its batch, or that others keep racing, must not fail its
        # neighbours: each tries alone. A storage that refuses all writes is spared the repetition.
        refused = isinstance(error, Refusal) and not isinstance(error, Contended)
        if len(batch) == 1 or refused:
            for waiting in batch:
                self._settle(waiting, error)
        else:
            for waiting in batch:
                await self._commit([waiting])

    def _settle(self, waiting: _Waiting, result: list[Outcome] | Exception) -> None:
        self._queued_bytes -= waiting.submission.size
        if waiting.outcomes.done():
            return
        if isinstance(result, Exception):
            waiting.outcomes.set_exception(result)
        else:
            waiting.outcomes.set_result(result)
