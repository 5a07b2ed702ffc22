"""A span is written when it begins and when it ends."""

import asyncio
import contextvars
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from journal_fixture import RecordingJournal, make_run
from prefactor_recorder.encoding import ids
from prefactor_recorder.encoding.record import Operation
from prefactor_recorder.guard import failures
from prefactor_recorder.run import current_run, current_span
from prefactor_recorder.span import ROOT


def test_a_span_is_written_when_it_begins_and_when_it_ends(journal: RecordingJournal) -> None:
    """Both ends are in the journal at once, with payload, result, times and the same id."""
    with make_run(journal) as run, run.span("agent:llm", {"model": "m"}) as span:
        begun = journal.of_operation(Operation.CREATE_SPAN)
        assert not journal.of_operation(Operation.FINISH_SPAN)
        span.set_result({"response": "Hi"})
    (ended,) = journal.of_operation(Operation.FINISH_SPAN)
    assert begun[0]["id"] == ended["id"] == span.id
    assert begun[0]["payload"] == {"model": "m"}
    assert begun[0]["schema_name"] == "agent:llm"
    assert begun[0]["agent_instance_id"] == run.id
    assert begun[0]["parent_span_id"] is None
    assert ended["result_payload"] == {"response": "Hi"}
    assert ended["status"] == "complete"
    assert begun[0]["started_at"] < ended["finished_at"]


def test_payloads_are_copied(journal: RecordingJournal) -> None:
    """A payload that the host changes later is recorded as it was."""
    payload = {"messages": ["one"]}
    with make_run(journal) as run, run.span("agent:llm", payload):
        payload["messages"].append("two")
    assert journal.of_operation(Operation.CREATE_SPAN)[0]["payload"] == {"messages": ["one"]}


def test_spans_nest_as_their_blocks_do(journal: RecordingJournal) -> None:
    """A span's parent is the innermost open span around it, for its siblings too."""
    with make_run(journal) as run, run.span("outer") as outer:
        with run.span("first") as first, run.span("inner"):
            pass
        with run.span("second"):
            pass
        with run.span("top", parent=ROOT), run.span("below"):
            pass
    parents = {
        each["schema_name"]: each["parent_span_id"]
        for each in journal.of_operation(Operation.CREATE_SPAN)
    }
    top = next(
        each["id"]
        for each in journal.of_operation(Operation.CREATE_SPAN)
        if each["schema_name"] == "top"
    )
    assert parents == {
        "outer": None,
        "first": outer.id,
        "inner": first.id,
        "second": outer.id,
        "top": None,
        "below": top,
    }


async def test_tasks_and_threads_inherit_the_current_span(
    journal: RecordingJournal,
) -> None:
    """Concurrent tasks, and threads with a given context, keep their own parents."""
    async with make_run(journal) as run:

        async def branch(name: str) -> None:
            async with run.span(name):
                await asyncio.sleep(0)
                async with run.span(f"{name}.inner"):
                    await asyncio.sleep(0)
                await asyncio.to_thread(lambda: run.span(f"{name}.thread").__enter__().finish())

        async with run.span("outer") as outer:
            await asyncio.gather(*(branch(f"task{number}") for number in range(5)))
    created = {each["schema_name"]: each for each in journal.of_operation(Operation.CREATE_SPAN)}
    for number in range(5):
        task = created[f"task{number}"]
        assert task["parent_span_id"] == outer.id
        assert created[f"task{number}.inner"]["parent_span_id"] == task["id"]
        assert created[f"task{number}.thread"]["parent_span_id"] == task["id"]


def test_a_thread_with_copied_context_continues_the_run(journal: RecordingJournal) -> None:
    """Code in a thread that runs in a copy of the context finds the run and the span."""
    found: list[object] = []
    with make_run(journal) as run, run.span("outer") as span:
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=[lambda: found.extend([current_run(), current_span()])]
        )
        thread.start()
        thread.join()
    assert found == [run, span]
    assert (current_run(), current_span()) == (None, None)


def test_a_block_that_raises_is_recorded_as_failed(journal: RecordingJournal) -> None:
    """The result gets type, message and stack next to its values; the exception propagates."""

    def host() -> None:
        with make_run(journal) as run, run.span("agent:tool") as span:
            span.set_result({"partial": 1})
            raise KeyError("missing")

    with pytest.raises(KeyError, match="missing"):
        host()
    (ended,) = journal.of_operation(Operation.FINISH_SPAN)
    assert ended["status"] == "failed"
    assert ended["result_payload"]["partial"] == 1
    error = ended["result_payload"]["error"]
    assert (error["error_type"], error["message"]) == ("KeyError", "'missing'")
    assert "raise KeyError" in error["stacktrace"]
    assert journal.of_operation(Operation.FINISH)[0]["status"] == "failed"


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit])
def test_cancellation_is_recorded_as_cancelled(
    journal: RecordingJournal, error: type[BaseException]
) -> None:
    """A cancelled or interrupted block ends as cancelled, and the exception propagates."""
    with pytest.raises(error), make_run(journal) as run, run.span("agent:tool"):
        raise error
    assert journal.of_operation(Operation.FINISH_SPAN)[0]["status"] == "cancelled"
    assert journal.of_operation(Operation.FINISH)[0]["status"] == "cancelled"


def test_the_first_end_of_a_span_counts(journal: RecordingJournal) -> None:
    """A span that was ended inside its block is not ended again after it."""
    with make_run(journal) as run:
        with run.span("agent:llm") as span:
            span.finish({"response": "early"})
        span.fail(ValueError("late"))
        span.cancel()
    (ended,) = journal.of_operation(Operation.FINISH_SPAN)
    assert (ended["status"], ended["result_payload"]) == ("complete", {"response": "early"})


def test_a_span_can_be_begun_and_ended_by_hand(journal: RecordingJournal) -> None:
    """Callbacks can begin spans with any time and parent, and make them current."""
    began = datetime(2026, 1, 31, 9, 29, tzinfo=UTC)
    ended = datetime(2026, 1, 31, 9, 31, tzinfo=UTC)
    with make_run(journal) as run:
        outer = run.start_span("outer", started_at=began)
        below = run.start_span("below", parent=outer)
        foreign = run.start_span("foreign", parent="span-of-another-process")
        with outer.current():
            assert current_span() is outer
            inner = run.start_span("inner")
        assert current_span() is None
        for span in (inner, foreign, below):
            span.finish()
        outer.finish(finished_at=ended)
    created = {each["schema_name"]: each for each in journal.of_operation(Operation.CREATE_SPAN)}
    assert created["outer"]["started_at"] == "2026-01-31T09:29:00.000000Z"
    assert created["below"]["parent_span_id"] == created["inner"]["parent_span_id"] == outer.id
    assert created["foreign"]["parent_span_id"] == "span-of-another-process"
    assert (
        journal.of_operation(Operation.FINISH_SPAN)[-1]["finished_at"]
        == "2026-01-31T09:31:00.000000Z"
    )


def test_a_span_of_another_run_is_not_a_parent(journal: RecordingJournal) -> None:
    """A run inside a run is a separate tree."""
    with make_run(journal) as outer, outer.span("outer"), make_run(journal) as inner:
        assert current_run() is inner
        with inner.span("inner"):
            pass
    assert [each["parent_span_id"] for each in journal.of_operation(Operation.CREATE_SPAN)] == [
        None,
        None,
    ]


class Broken:
    """A payload whose every method fails."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_internal_failures_do_not_reach_the_host(journal: RecordingJournal) -> None:
    """A failing journal and unencodable values lose records but raise nothing."""

    def refuse(_: bytes) -> bool:
        raise OSError("no more disk")

    before = failures.count
    with make_run(journal) as run:
        with run.span("agent:llm", Broken()) as span:
            span.set_result(Broken())
        with run.span("agent:llm", parent="no id: { }"):
            pass
        with run.span("agent:llm") as span:
            span.finish(status="done")  # type: ignore[arg-type]
    broken = RecordingJournal()
    broken.append = refuse  # type: ignore[method-assign]
    with make_run(broken) as run, run.span("agent:llm") as span:
        span.set_result({"a": 1})
    assert failures.count > before
    assert len(journal.of_operation(Operation.FINISH_SPAN)) == 3


def test_payloads_are_redacted_before_anything_is_kept(journal: RecordingJournal) -> None:
    """The callback sees a copy of each payload and result, and only what it returns is recorded."""

    def redact(schema_name: str, payload: dict[str, Any]) -> dict[str, Any]:
        payload.pop("secret", None)
        return {**payload, "seen_by": schema_name}

    payload = {"secret": "s3cret", "a": 1}
    with make_run(journal, redact=redact) as run, run.span("agent:llm", payload) as span:
        span.set_result({"secret": "s3cret"})
    assert journal.of_operation(Operation.CREATE_SPAN)[0]["payload"] == {
        "a": 1,
        "seen_by": "agent:llm",
    }
    assert journal.of_operation(Operation.FINISH_SPAN)[0]["result_payload"] == {
        "seen_by": "agent:llm"
    }
    assert payload == {"secret": "s3cret", "a": 1}
    assert all(b"s3cret" not in record.body for record in journal.records)


def test_a_failing_redaction_drops_the_payload(journal: RecordingJournal) -> None:
    """When the callback raises, the whole payload is replaced."""

    def redact(schema_name: str, payload: dict[str, Any]) -> dict[str, Any]:
        raise ValueError(schema_name)

    with make_run(journal, redact=redact) as run, run.span("agent:llm", {"secret": "s3cret"}):
        pass
    assert all(b"s3cret" not in record.body for record in journal.records)
    assert journal.of_operation(Operation.CREATE_SPAN)[0]["payload"] == {
        "prefactor.redaction_failed": True
    }


def test_an_oversized_payload_is_truncated_and_marked(journal: RecordingJournal) -> None:
    """A payload too large for the server is cut at its largest field, and the rest is unchanged."""
    payload = {"model": "m", "prompt": "x" * 100_000}
    with make_run(journal, limit=10_000) as run, run.span("agent:llm", payload):
        pass
    payload = journal.of_operation(Operation.CREATE_SPAN)[0]["payload"]
    assert payload["model"] == "m"
    assert len(payload["prompt"]) < 10_000
    assert payload["prefactor.truncated"]["fields"] == ["prompt"]


def test_forked_processes_create_different_ids() -> None:
    """Two processes that make ids at the same moment make different ones."""
    assert ids.IdGenerator().new_run_id(0) != ids.IdGenerator().new_run_id(0)


class Odd(Exception):
    """An exception that cannot be inspected."""

    @property
    def __notes__(self) -> list[str]:
        raise RuntimeError


def odd_syntax_error() -> SyntaxError:
    """Return the exception of a parser that sets odd attributes."""
    error = SyntaxError("odd")
    error.lineno, error.text = "a", 5  # type: ignore[assignment]
    return error


@pytest.mark.parametrize("error", [Odd("odd"), odd_syntax_error(), ExceptionGroup("g", [Odd()])])
def test_an_unprintable_exception_fails_its_span(error: Exception) -> None:
    """A span whose exception cannot be printed has failed, with the exception's class."""
    journal = RecordingJournal()
    run = make_run(journal)
    with run, pytest.raises(type(error)), run.span("agent:step"):
        raise error
    [ended] = journal.of_operation(Operation.FINISH_SPAN)
    assert ended["status"] == "failed"
    assert ended["result_payload"]["error"]["error_type"] == type(error).__name__


class Opaque(Exception):
    """An exception that raises another one when any attribute is read."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_an_opaque_exception_reaches_the_host(journal: RecordingJournal) -> None:
    """An exception whose attributes cannot be read fails its span and its run, and is re-raised."""
    raised: list[type] = []
    try:
        with make_run(journal) as run, run.span("agent:step"):
            raise Opaque
    except Exception as error:  # noqa: BLE001 - pytest.raises looks into it
        raised.append(type(error))
    assert raised == [Opaque]
    [span] = journal.of_operation(Operation.FINISH_SPAN)
    [run_end] = journal.of_operation(Operation.FINISH)
    assert (span["status"], run_end["status"]) == ("failed", "failed")
    assert span["result_payload"]["error"]["error_type"] == "Opaque"


def test_an_invalid_time_is_replaced_by_now() -> None:
    """An invalid time is counted, and the step begins and ends at the current time."""
    journal = RecordingJournal()
    run = make_run(journal)
    run.start()
    noted = failures.count
    span = run.start_span("agent:step", started_at="yesterday")  # type: ignore[arg-type]
    span.finish(finished_at="today")  # type: ignore[arg-type]
    run.finish(finished_at="tomorrow")  # type: ignore[arg-type]
    assert [record.operation.name for record in journal.records] == [
        "REGISTER",
        "START",
        "CREATE_SPAN",
        "FINISH_SPAN",
        "FINISH",
    ]
    assert failures.count == noted + 3
