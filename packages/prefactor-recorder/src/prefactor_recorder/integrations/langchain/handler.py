"""Records chains, models, tools and retrievers of LangChain and LangGraph as spans.

    handler = PrefactorCallbackHandler()
    with recorder.run("support-bot"):
        graph.invoke({"messages": [...]}, {"callbacks": [handler]})

Needs langchain-core: `pip install "langchain-core>=0.3"`.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ParamSpec

from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.guard import failures, not_interrupts
from prefactor_recorder.integrations._common.optional import missing_library

try:
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.runnables.config import var_child_runnable_config
except ModuleNotFoundError as error:
    raise missing_library("langchain-core>=0.3") from error

from prefactor_recorder.integrations._common.steps import OpenSteps
from prefactor_recorder.integrations.langchain.payloads import (
    document,
    message,
    model_call,
    plain,
    step_metadata,
    step_name,
)
from prefactor_recorder.integrations.langchain.results import (
    attempt,
    control_flow,
    failed_tool,
    llm_result,
    notes_result,
    tool_output,
)
from prefactor_recorder.integrations.langchain.span_types import (
    AGENT,
    CHAIN,
    EVENT,
    LLM,
    RETRIEVER,
    SPAN_TYPES,
    TOOL,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from langchain_core.agents import AgentAction, AgentFinish
    from langchain_core.documents import Document
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import LLMResult

    from prefactor_recorder.recorder import Recorder
    from prefactor_recorder.span import Span

    P = ParamSpec("P")

__all__ = ["SPAN_TYPES", "PrefactorCallbackHandler"]

HIDDEN_TAG = "langsmith:hidden"
"""The tag of internal steps of LangChain and LangGraph."""


def guarded(function: Callable[P, None]) -> Callable[P, None]:
    """Catch every exception except `RunTerminated`, which is for the host."""

    @functools.wraps(function)
    def safely(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except RunTerminated:
            raise
        except not_interrupts() as error:  # this is the guard
            failures.note(function.__qualname__, error)

    return safely


class PrefactorCallbackHandler(BaseCallbackHandler):
    """Records every step of LangChain and LangGraph as a span, each below its caller.

    One handler serves any number of concurrent calls, from threads and tasks. Inside `with
    recorder.run(...)`, the steps belong to that run, below the current span. Outside, each call
    becomes a separate run if a recorder was passed, and is not recorded otherwise.

    A step that raises is recorded as failed. A step that is cancelled, or interrupted by
    `interrupt()`, is recorded as cancelled. After the run is terminated, the next step raises
    `RunTerminated` in the code that called LangChain. The handler raises nothing else.

    Args:
        recorder: Opens a run for each call made outside a run.
        agent_id: The agent of these runs; by default the recorder's.
        version: The agent's version, as for `recorder.run`.
    """

    # Otherwise LangChain logs what a handler raises and continues. Only RunTerminated is raised.
    raise_error = True
    # On the event loop, because recording takes microseconds, less than handing over to a thread.
    run_inline = True

    def __init__(
        self,
        recorder: Recorder | None = None,
        *,
        agent_id: str | None = None,
        version: str | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._steps = OpenSteps(recorder, agent_id=agent_id, version=version, types=SPAN_TYPES)

    def step(self) -> AbstractContextManager[Span | None]:
        """Return a context manager that makes the span of the calling tool or node current.

        Spans recorded in the block become its children. In code not called by LangChain, it yields
        None and changes nothing.
        """
        step = self._steps.get(_current_step_id())
        return nullcontext() if step is None else step.span.current()

    @guarded
    def on_chain_start(
        self, serialized: dict[str, Any], inputs: Any, *, run_id: UUID, **more: Any
    ) -> None:
        """Begin a chain, a graph, or a node of a graph."""
        if HIDDEN_TAG in (more.get("tags") or ()):
            self._steps.alias(run_id, self._parent_step_id(more))
            return
        kind = more.get("run_type")
        self._begin(
            CHAIN,
            run_id,
            more,
            lambda: {
                "name": step_name(serialized, more, "chain"),
                **({"kind": kind} if kind else {}),
                "inputs": plain(inputs),
            },
        )

    @guarded
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        """End a chain."""
        inputs = more.get("inputs")  # the inputs of a stream, unknown at its start
        late = {} if inputs is None else {"inputs": plain(inputs)}
        self._end(run_id, lambda: {"outputs": plain(outputs), **late})

    @guarded
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """End a chain with an exception."""
        self._fail(run_id, error)

    @guarded
    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        **more: Any,
    ) -> None:
        """Begin a call of a chat model."""
        self._begin(
            LLM,
            run_id,
            more,
            lambda: {
                "name": step_name(serialized, more, "chat model"),
                **model_call(serialized, more),
                "messages": [message(each) for prompt in messages for each in prompt],
            },
        )

    @guarded
    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **more: Any
    ) -> None:
        """Begin a call of a text completion model."""
        self._begin(
            LLM,
            run_id,
            more,
            lambda: {
                "name": step_name(serialized, more, "model"),
                **model_call(serialized, more),
                "messages": [{"role": "user", "content": prompt} for prompt in prompts],
            },
        )

    @guarded
    def on_llm_new_token(self, token: Any, *, run_id: UUID, **more: Any) -> None:
        """Count a chunk of the response."""
        # Streams begin with empty chunks. Chunks of tool calls have no text.
        chunk = getattr(more.get("chunk"), "message", None)
        if token or getattr(chunk, "tool_call_chunks", None):
            self._streamed(run_id, "tokens")

    @guarded
    def on_stream_event(self, event: Any, *, run_id: UUID, **_: Any) -> None:
        """Count a chunk from a model that streams typed events."""
        if event.get("event") == "content-block-delta":
            self._streamed(run_id, "events")

    @guarded
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """End a call of a model."""
        self._end(run_id, lambda: llm_result(response))

    @guarded
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """End a call of a model with an exception, possibly in the middle of a response."""
        partial = more.get("response")
        self._fail(run_id, error, lambda: {} if partial is None else llm_result(partial))

    @guarded
    def on_tool_start(
        self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, **more: Any
    ) -> None:
        """Begin a call of a tool."""
        inputs, called = more.get("inputs"), more.get("tool_call_id")
        self._begin(
            TOOL,
            run_id,
            more,
            lambda: {
                "name": step_name(serialized, more, "tool"),
                **({"tool_call_id": called} if called else {}),
                "arguments": plain(input_str if inputs is None else inputs),
            },
        )

    @guarded
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """End a call of a tool, which may report a failure to the model instead of raising."""
        failed = failed_tool(output)
        self._end(run_id, lambda: tool_output(output), status="failed" if failed else "complete")

    @guarded
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """End a call of a tool with an exception."""
        self._fail(run_id, error)

    @guarded
    def on_retriever_start(
        self, serialized: dict[str, Any], query: str, *, run_id: UUID, **more: Any
    ) -> None:
        """Begin a search for documents."""
        self._begin(
            RETRIEVER,
            run_id,
            more,
            lambda: {"name": step_name(serialized, more, "retriever"), "query": query},
        )

    @guarded
    def on_retriever_end(self, documents: Sequence[Document], *, run_id: UUID, **_: Any) -> None:
        """End a search."""
        self._end(
            run_id,
            lambda: {
                "count": len(documents),
                "documents": [document(each) for each in documents],
            },
        )

    @guarded
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """End a search with an exception."""
        self._fail(run_id, error)

    @guarded
    def on_agent_action(self, action: AgentAction, *, run_id: UUID, **_: Any) -> None:
        """Record that a classic agent decided to use a tool."""
        details = {"name": action.tool, "arguments": plain(action.tool_input), "log": action.log}
        self._record_instant(AGENT, run_id, {"decision": "tool", **details})

    @guarded
    def on_agent_finish(self, finish: AgentFinish, *, run_id: UUID, **_: Any) -> None:
        """Record that a classic agent decided to finish."""
        details = {"outputs": plain(finish.return_values), "log": finish.log}
        self._record_instant(AGENT, run_id, {"decision": "finish", **details})

    @guarded
    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **_: Any) -> None:
        """Record an event dispatched by the host."""
        self._record_instant(EVENT, run_id, {"name": name, "data": plain(data)})

    @guarded
    def on_retry(self, retry_state: Any, *, run_id: UUID, **_: Any) -> None:
        """Record a failed attempt within a step."""
        if (step := self._steps.get(run_id)) is not None:
            step.notes.setdefault("retries", []).append(attempt(retry_state))

    def _begin(
        self,
        schema_name: str,
        run_id: UUID,
        more: Mapping[str, Any],
        payload: Callable[[], dict[str, Any]],
    ) -> None:
        step = self._steps.open(
            run_id,
            self._parent_step_id(more),
            schema_name,
            lambda: {**payload(), **step_metadata(run_id, more)},
        )
        if schema_name is LLM and step is not None and step.recorded:
            step.notes["began"] = step.span.run.sink.clock.elapsed()

    def _parent_step_id(self, more: Mapping[str, Any]) -> UUID | None:
        """Return the parent of a step: the one LangChain reports, or a descendant of it.

        Some steps of LangChain, such as fallbacks, do not pass themselves on as the parent, and
        neither does a host that passes the handler again inside a tool. The context knows the
        actual parent.
        """
        reported, current = more.get("parent_run_id"), _current_step_id()
        if current != reported and self._steps.is_descendant(current, reported):
            return current
        return reported

    def _streamed(self, run_id: UUID, kind: str) -> None:
        step = self._steps.get(run_id)
        if step is None or "began" not in step.notes:
            return
        notes = step.notes
        if "waited" not in notes:
            notes["waited"] = step.span.run.sink.clock.elapsed() - notes["began"]
        notes[kind] = notes.get(kind, 0) + 1

    def _end(
        self, run_id: UUID, result: Callable[[], dict[str, Any]], status: Any = "complete"
    ) -> None:
        self._steps.close(
            run_id, lambda step: {**result(), **notes_result(step.notes)}, status=status
        )

    def _fail(
        self,
        run_id: UUID,
        error: BaseException,
        result: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        directed = control_flow(error)
        if directed is not None:
            status, details = directed
            self._end(run_id, lambda: {**result(), **details}, status)
            return
        self._steps.close(
            run_id, lambda step: {**result(), **notes_result(step.notes)}, error=error
        )

    def _record_instant(self, schema_name: str, run_id: UUID, payload: dict[str, Any]) -> None:
        """Record an event within a step as a span without duration."""
        if self._steps.get(run_id) is not None:
            key = object()
            self._steps.open(key, run_id, schema_name, lambda: payload)
            self._steps.close(key)


def _current_step_id() -> UUID | None:
    """Return the id of the current step from LangChain's context."""
    config: Any = var_child_runnable_config.get() or {}
    return getattr(config.get("callbacks"), "parent_run_id", None)
