"""The writer: many requests, one commit.

Requests that arrive while a batch commits form the next batch, without a timer. A write is answered
once its batch is durable, so to its caller it is a transaction of its own. If the server dies, only
unanswered requests are lost, each as a whole, and their idempotency keys make it safe to repeat
them.
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
from prefactor_server.commands.runs.batch_by_run import divide_by_run
from prefactor_server.domain.change import Position, begin_position, current_position
from prefactor_server.domain.errors import Contended, Overloaded, Refusal, Unavailable
from prefactor_server.storage.base import Snapshot, Storage

MAX_BATCH_COMMANDS: Final = 2000
"""The most commands in one commit. A larger batch would delay its first command for little gain."""


class _Waiting(NamedTuple):
    submission: Submission
    outcomes: asyncio.Future[list[Outcome]]
    position: Position | None


class Writer:
    """Commits the submissions of all requests in batches.

    Beyond ``max_queue_bytes`` of waiting requests, new ones are refused as overload.
    ``concurrency`` is how many batches the storage can usefully commit at a time. ``on_commit`` is
    called after each commit. It must be quick and must not raise.
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
        """The number of requests that wait for their batch to begin."""
        return len(self._waiting)

    async def submit(self, commands: Sequence[Command], size: int) -> list[Outcome]:
        """Execute a request's commands in order, and return once they are durable.

        Args:
            commands: at least one. The first that is not done ends the submission.
            size: the bytes of the request, which count towards ``max_queue_bytes``.

        Returns:
            The outcomes, up to and including that of the first command that was not done. The
            caller's current position advances to one that contains them.

        Raises:
            Overloaded: the queue is full. Nothing was done.
            Unavailable: the storage cannot write now. Nothing was done, unless it is
                ``OutcomeUnknown``.
        """
        if self._closed:
            raise Unavailable("The server is shutting down: send the request again")
        if self._queued_bytes and self._queued_bytes + size > self._max_queue_bytes:
            raise Overloaded("Too many writes are waiting: send the request again later")
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        submission = Submission(tuple(commands), size)
        self._waiting.append(_Waiting(submission, future, current_position()))
        self._queued_bytes += size
        self._start_worker()
        # A caller that disconnects cancels only this future. Its batch belongs to the worker, and
        # contains the writes of other callers.
        return await future

    async def close(self) -> None:
        """Accept no more, and return once everything accepted is durable or refused."""
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
            # ``_workers`` still contains a worker shortly after it found the queue empty. If that
            # were counted, a request that arrives in between would wait forever.
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
        position = begin_position()
        try:
            outcomes = await self._transact([waiting.submission for waiting in batch])
        except Exception as error:  # noqa: BLE001 - its callers must receive any error
            if self._observer is not None:
                self._observer.failed()
            await self._settle_failure(batch, error)
        else:
            for waiting, result in zip(batch, outcomes, strict=True):
                if waiting.position is not None:
                    waiting.position.advance(position.reached)
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
        # One request that breaks its batch, or keeps losing races, must not fail the others, so
        # its units are retried apart, and then each request of a unit that fails again, unless the
        # storage refuses all writes.
        refused = isinstance(error, Refusal) and not isinstance(error, Contended)
        if len(batch) == 1 or refused:
            for waiting in batch:
                self._settle(waiting, error)
        else:
            for part in _smaller(batch):
                await self._commit(part)

    def _settle(self, waiting: _Waiting, result: list[Outcome] | Exception) -> None:
        self._queued_bytes -= waiting.submission.size
        if waiting.outcomes.done():
            return
        if isinstance(result, Exception):
            waiting.outcomes.set_exception(result)
        else:
            waiting.outcomes.set_result(result)


def _smaller(batch: Sequence[_Waiting]) -> Sequence[list[_Waiting]]:
    """Return the units of a batch, or each request alone if it is a single unit."""
    alone = [[waiting] for waiting in batch]
    try:
        parts = divide_by_run([waiting.submission for waiting in batch])
    except Exception:  # noqa: BLE001 - a command that cannot be grouped fails when it is alone
        return alone
    return alone if len(parts) == 1 else [[batch[one] for one in part] for part in parts]
