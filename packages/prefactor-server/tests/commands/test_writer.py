"""The writer: shared commits, with no request lost, duplicated, reordered or left waiting."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from database import Database
from rows import create_span, finish, finish_span, register, request, start, terminate

from patience import patience
from prefactor_server.commands.base import Command, Decision, Done, Outcome, Refused, Request
from prefactor_server.commands.writer import MAX_BATCH_COMMANDS, Writer
from prefactor_server.domain.errors import Contended, OutcomeUnknown, Overloaded, Unavailable
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.storage.base import Decide, Needs, Snapshot, Storage, T


class Watched:
    """A storage that counts transactions and lets each through on request."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.transactions = 0
        self.at_once = 0
        self.most_at_once = 0
        self.failures: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()

    async def transact(self, needs: Mapping[str, Needs], decide: Decide[T]) -> T:
        self.transactions += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
            if self.failures:
                raise self.failures.pop(0)
            return await self._storage.transact(needs, decide)
        finally:
            self.at_once -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


class Poison(NamedTuple):
    """A command with a bug in it."""

    request: Request
    operation: str = "runs.poison"

    def needs(self, needs: Needs) -> None:
        pass

    def decide(self, snapshot: Snapshot) -> Decision:
        raise ZeroDivisionError


@pytest.fixture
def watched(database: Database) -> Watched:
    """The database's storage, watched."""
    return Watched(database.storage)


@pytest.fixture
def writer(watched: Watched) -> Writer:
    """A writer over it with a queue of a thousand bytes."""
    return Writer(watched, max_queue_bytes=1000)


async def submit_all(writer: Writer, *requests: Sequence[Command]) -> list[Any]:
    """Submit requests at the same moment; return what each returned or raised."""
    return await asyncio.gather(
        *(writer.submit(commands, 1) for commands in requests), return_exceptions=True
    )


async def test_requests_that_wait_share_a_commit(
    database: Database, watched: Watched, writer: Writer
) -> None:
    """A hundred requests that arrive while one commits are committed together."""
    watched.open.clear()
    first = asyncio.create_task(writer.submit([register("first")], 1))
    await asyncio.sleep(0)
    others = asyncio.create_task(
        submit_all(writer, *([register(f"r{number}")] for number in range(100)))
    )
    await asyncio.sleep(0)
    watched.open.set()

    await first
    outcomes = await others

    assert watched.transactions <= 3
    assert all(isinstance(one, Done) for (one,) in outcomes)
    assert len(database.rows("SELECT id FROM agent_instance")) == 101
    assert writer.queued_bytes == 0


async def test_every_request_gets_its_own_outcomes(database: Database, writer: Writer) -> None:
    """However requests share commits, each gets its own commands' outcomes, in order."""
    run = await database.do(register("run"))
    requests = [
        [create_span(f"{number}-{item}", run) for item in range(number % 4 + 1)]
        for number in range(40)
    ]

    answers = await submit_all(writer, *requests)

    for commands, outcomes in zip(requests, answers, strict=True):
        assert [one.resource_id for one in outcomes] == [command.id for command in commands]


async def test_commands_are_carried_out_in_order(database: Database, writer: Writer) -> None:
    """A request's commands are carried out in order, and requests in the order of their arrival."""
    run = await database.do(register("run"))
    answers = await submit_all(
        writer,
        [finish_span("a"), create_span("a", run)],
        [create_span("a", run), finish_span("a"), finish_span("a"), create_span("b", run)],
        [finish_span("a")],
    )

    assert [[type(one) for one in outcomes] for outcomes in answers] == [
        [Refused],
        [Done, Done, Refused],
        [Refused],
    ]
    assert database.rows("SELECT id, status FROM agent_span") == [("a", "complete")]


async def test_a_batch_is_bounded(database: Database, watched: Watched, writer: Writer) -> None:
    """A commit takes no more commands than the limit, except for one larger request."""
    run = await database.do(register("run"))
    many = [create_span(f"s{number}", run) for number in range(MAX_BATCH_COMMANDS + 1)]

    answers = await submit_all(writer, [register("x")], many, [register("y")], [register("z")])

    assert [len(outcomes) for outcomes in answers] == [1, len(many), 1, 1]
    assert watched.transactions == 3


async def test_one_batch_at_a_time(watched: Watched, writer: Writer) -> None:
    """If the storage commits one batch at a time, no second one is begun."""
    await submit_all(writer, *([register(f"r{number}")] for number in range(20)))

    assert watched.most_at_once == 1


async def test_batches_side_by_side(database: Database, watched: Watched) -> None:
    """If the storage can commit several batches, exactly that many are begun."""
    writer = Writer(watched, max_queue_bytes=1000, concurrency=2)
    watched.open.clear()
    tasks = list[asyncio.Task[list[Outcome]]]()
    for number in range(6):
        tasks.append(asyncio.create_task(writer.submit([register(f"r{number}")], 1)))
        await asyncio.sleep(0)
    watched.open.set()
    await asyncio.gather(*tasks)

    assert watched.most_at_once == 2
    assert len(database.rows("SELECT id FROM agent_instance")) == 6


async def test_a_request_at_the_workers_end(watched: Watched) -> None:
    """A request that arrives just as the worker goes idle is not lost."""

    class Prompt:
        """A storage whose commit ends in the same event-loop step that opens its gate."""

        def __init__(self) -> None:
            self.gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def transact(self, needs: Mapping[str, Needs], decide: Decide[T]) -> T:
            await self.gate
            return decide({account_id: Snapshot() for account_id in needs})

    storage: Any = Prompt()
    writer = Writer(storage, max_queue_bytes=1000)
    first = asyncio.create_task(writer.submit([start("a")], 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # The worker wakes first and finds its queue empty; the second request follows at once.
    storage.gate.set_result(None)
    second = asyncio.create_task(writer.submit([start("b")], 1))

    async with asyncio.timeout(patience(10)):
        assert isinstance((await first)[0], Refused)
        assert isinstance((await second)[0], Refused)


async def test_a_cancelled_caller_affects_no_other(
    database: Database, watched: Watched, writer: Writer
) -> None:
    """A request whose caller is cancelled while it waits or commits still takes effect."""
    watched.open.clear()
    committing, waiting, other = (
        asyncio.create_task(writer.submit([register(run_id)], 1))
        for run_id in ("committing", "waiting", "other")
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = asyncio.create_task(writer.submit([register("late")], 1))
    await asyncio.sleep(0)
    for task in (committing, waiting, late):
        task.cancel()
    await asyncio.sleep(0)
    watched.open.set()

    assert isinstance((await other)[0], Done)
    await writer.close()
    assert sorted(database.rows("SELECT id FROM agent_instance")) == [
        ("committing",),
        ("late",),
        ("other",),
        ("waiting",),
    ]
    for task in (committing, waiting, late):
        assert task.cancelled()


async def test_a_full_queue_refuses(watched: Watched, writer: Writer) -> None:
    """Over the limit, requests are refused without an effect; later they are accepted again."""
    watched.open.clear()
    taken = asyncio.create_task(writer.submit([register("taken")], 600))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="send the request again later"):
        await writer.submit([register("too-much")], 401)
    fits = asyncio.create_task(writer.submit([register("fits")], 400))
    await asyncio.sleep(0)
    assert writer.queued_bytes == 1000
    watched.open.set()
    await asyncio.gather(taken, fits)

    assert writer.queued_bytes == 0
    assert isinstance((await writer.submit([register("too-much")], 401))[0], Done)


async def test_a_request_larger_than_the_queue(writer: Writer) -> None:
    """A request larger than the whole queue is accepted when nothing else waits."""
    assert isinstance((await writer.submit([register("large")], 5000))[0], Done)


async def test_closing_finishes_accepted_requests(
    database: Database, watched: Watched, writer: Writer
) -> None:
    """Closing carries out every accepted request and refuses later ones."""
    watched.open.clear()
    tasks = [
        asyncio.create_task(writer.submit([register(f"r{number}")], 1)) for number in range(10)
    ]
    await asyncio.sleep(0)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="shutting down"):
        await writer.submit([register("late")], 1)
    assert not closing.done()
    watched.open.set()

    await closing
    assert all(task.done() for task in tasks)
    await asyncio.gather(*tasks)
    assert len(database.rows("SELECT id FROM agent_instance")) == 10
    await writer.close()


async def test_an_unavailable_storage_refuses_all_callers(
    database: Database, watched: Watched, writer: Writer
) -> None:
    """If the storage cannot write, one attempt fails all callers of the batch."""
    watched.failures.append(Unavailable("no space"))
    answers = await submit_all(writer, *([register(f"r{number}")] for number in range(5)))

    assert [str(one) for one in answers] == ["no space"] * 5
    assert watched.transactions == 1
    assert database.rows("SELECT id FROM agent_instance") == []
    assert isinstance((await writer.submit([register("r0")], 1))[0], Done)
    assert writer.queued_bytes == 0


async def test_a_conflicting_batch_is_retried_request_by_request(
    database: Database, watched: Watched, writer: Writer
) -> None:
    """Only a request that conflicts alone is refused, even if its batch conflicted."""
    watched.failures = [Contended("all"), Contended("the first")]

    answers = await submit_all(writer, [register("a")], [register("b")], [register("c")])

    assert isinstance(answers[0], Contended)
    assert [len(one) for one in answers[1:]] == [1, 1]
    assert sorted(database.rows("SELECT id FROM agent_instance")) == [("b",), ("c",)]


async def test_a_conflicting_batch_is_retried_run_by_run(
    database: Database, watched: Watched, writer: Writer
) -> None:
    """Requests about one run still share a commit after a conflict about another run."""
    for run_id in ("a", "b"):
        await database.do(register(run_id))
    watched.failures = [Contended("all"), Contended("about a"), Contended("the first")]

    answers = await submit_all(
        writer, [start("a")], [start("b")], [finish("a")], [finish("b")], [terminate("b")]
    )

    assert isinstance(answers[0], Contended)
    assert [len(one) for one in answers[1:]] == [1, 1, 1, 1]
    assert watched.transactions == 5
    assert [(await database.run(run_id)).status for run_id in ("a", "b")] == ["pending", "complete"]


async def test_an_unknown_outcome_is_not_retried(watched: Watched, writer: Writer) -> None:
    """A write that may have been stored is not repeated, and every caller gets the error."""
    watched.failures = [OutcomeUnknown("lost")]

    answers = await submit_all(writer, [register("a")], [register("b")])

    assert [type(one) for one in answers] == [OutcomeUnknown] * 2
    assert watched.transactions == 1


async def test_a_broken_request_fails_alone(database: Database, writer: Writer) -> None:
    """A request that breaks its batch gets its exception, and the others are carried out once."""
    answers = await submit_all(
        writer,
        [register("a")],
        [register("inside"), Poison(request())],
        [register("b"), register("c")],
    )

    assert isinstance(answers[1], ZeroDivisionError)
    assert sorted(database.rows("SELECT id FROM agent_instance")) == [("a",), ("b",), ("c",)]
    assert [len(answers[0]), len(answers[2])] == [1, 2]


async def test_an_unstorable_value_fails_alone(database: Database, writer: Writer) -> None:
    """A text or number that the database cannot hold fails only its own request."""
    answers = await submit_all(
        writer,
        [register("a")],
        [register("half-a-character", "\ud800")],
        [register("too-late", request=request(now=2**63))],
        [register("b")],
    )

    assert [type(one).__name__ for one in answers] == [
        "list",
        "UnicodeEncodeError",
        "OverflowError",
        "list",
    ]
    assert sorted(database.rows("SELECT id FROM agent_instance")) == [("a",), ("b",)]


async def test_an_answer_matches_the_stored_row(database: Database, writer: Writer) -> None:
    """The run in an answer is what every reader sees once the answer is sent."""
    answers = await submit_all(
        writer, *([register(f"r{number}"), start(f"r{number}")] for number in range(10))
    )

    for outcomes in answers:
        row: AgentInstance = outcomes[1].row
        assert await database.run(row.id) == row
