"""LangChain and LangGraph: what chains, models, tools and retrievers do, as spans.

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
from prefactor_recorder.guard import failures
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
    notes_result,
    reply,
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
"""The tag of steps that LangChain and LangGraph take for themselves."""


def guarded(function: Callable[P, None]) -> Callable[P, None]:
    """Swallow every exception but `RunTerminated`, which is meant for the host."""

    @functools.wraps(function)
    def safely(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except RunTerminated:
            raise
        except Exception as error:  # noqa: BLE001 - this is the guard
            failures.note(function.__qualname__, error)

    return safely


class PrefactorCallbackHandler(BaseCallbackHandler):
    """Records every step of LangChain and LangGraph as a span, each below the one that called it.

    One handler serves any number of calls at once, from threads and tasks. Inside of
    `with recorder.run(...)` the steps belong to that run, below the span that is current there;
    outside, each call becomes a run of its own if a recorder was given, and is not recorded else.

    A step that raises is recorded as failed, a cancelled one and one that stops to ask
    (`interrupt()`) as cancelled. When the run has been terminated, the next step raises
    `RunTerminated` in the code that called LangChain; nothing else ever comes out of the handler.

    Args:
        recorder: Opens a run for each call that is made outside of every run.
        agent_id: The agent of such runs; by default the recorder's.
        version: Its version, as `recorder.run` takes it.
    """

    # LangChain logs what a handler raises and goes on, unless this is set. Only RunTerminated is
    # let out, so only that reaches the host.
    raise_error = True
    # On the event loop itself: recording takes microseconds, a thread for each event takes more.
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
        """Make the step that the calling code is in the current span, for a block.

        For the code of tools and nodes: what the block records is below the tool's span.
        Gives None, and changes nothing, in code that LangChain has not called.
        """
        step = self._steps.get(_current_step_id())
        return nullcontext() if step is None else step.span.current()

    @guarded
    def on_chain_start(
        self, serialized: dict[str, Any], inputs: Any, *, run_id: UUID, **more: Any
    ) -> None:
        """A chain, a graph or a node of one begins."""
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
        """It has ended."""
        inputs = more.get("inputs")  # of a stream, which were not known at its start
        late = {} if inputs is None else {"inputs": plain(inputs)}
        self._end(run_id, lambda: {"outputs": plain(outputs), **late})

    @guarded
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It has raised."""
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
        """A chat model is called."""
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
        """A model that completes texts is called."""
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
        """A piece of the answer is there."""
        # Streams open with chunks that say nothing yet; calls of tools come without text.
        said = getattr(more.get("chunk"), "message", None)
        if token or getattr(said, "tool_call_chunks", None):
            self._streamed(run_id, "tokens")

    @guarded
    def on_stream_event(self, event: Any, *, run_id: UUID, **_: Any) -> None:
        """The same, from models that stream typed events."""
        if event.get("event") == "content-block-delta":
            self._streamed(run_id, "events")

    @guarded
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """The model has answered."""
        self._end(run_id, lambda: reply(response))

    @guarded
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """It has raised, perhaps in the middle of an answer."""
        said = more.get("response")
        self._fail(run_id, error, lambda: {} if said is None else reply(said))

    @guarded
    def on_tool_start(
        self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, **more: Any
    ) -> None:
        """A tool is called."""
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
        """It has returned, or failed in a way that the model is told about."""
        failed = failed_tool(output)
        self._end(run_id, lambda: tool_output(output), status="failed" if failed else "complete")

    @guarded
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It has raised."""
        self._fail(run_id, error)

    @guarded
    def on_retriever_start(
        self, serialized: dict[str, Any], query: str, *, run_id: UUID, **more: Any
    ) -> None:
        """Documents are looked for."""
        self._begin(
            RETRIEVER,
            run_id,
            more,
            lambda: {"name": step_name(serialized, more, "retriever"), "query": query},
        )

    @guarded
    def on_retriever_end(self, documents: Sequence[Document], *, run_id: UUID, **_: Any) -> None:
        """They have been found."""
        self._end(
            run_id,
            lambda: {
                "count": len(documents),
                "documents": [document(each) for each in documents],
            },
        )

    @guarded
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """The search has raised."""
        self._fail(run_id, error)

    @guarded
    def on_agent_action(self, action: AgentAction, *, run_id: UUID, **_: Any) -> None:
        """An agent of the older kind has decided to use a tool."""
        told = {"name": action.tool, "arguments": plain(action.tool_input), "log": action.log}
        self._record_instant(AGENT, run_id, {"decision": "tool", **told})

    @guarded
    def on_agent_finish(self, finish: AgentFinish, *, run_id: UUID, **_: Any) -> None:
        """It has decided that it is done."""
        told = {"outputs": plain(finish.return_values), "log": finish.log}
        self._record_instant(AGENT, run_id, {"decision": "finish", **told})

    @guarded
    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **_: Any) -> None:
        """The host has dispatched an event of its own."""
        self._record_instant(EVENT, run_id, {"name": name, "data": plain(data)})

    @guarded
    def on_retry(self, retry_state: Any, *, run_id: UUID, **_: Any) -> None:
        """An attempt has failed and another follows, within one step."""
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
        """The parent of a step that begins now: what LangChain says, or a step within it.

        Some of LangChain's own steps (fallbacks, for one) forget to tell those below about
        themselves, and so does a host that hands the handler over once more within a tool. The
        context knows better then.
        """
        told, inner = more.get("parent_run_id"), _current_step_id()
        return inner if inner != told and self._steps.is_descendant(inner, told) else told

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
            status, told = directed
            self._end(run_id, lambda: {**result(), **told}, status)
            return
        self._steps.close(
            run_id, lambda step: {**result(), **notes_result(step.notes)}, error=error
        )

    def _record_instant(self, schema_name: str, run_id: UUID, payload: dict[str, Any]) -> None:
        """Something that happens within a step and takes no time."""
        if self._steps.get(run_id) is not None:
            key = object()
            self._steps.open(key, run_id, schema_name, lambda: payload)
            self._steps.close(key)


def _current_step_id() -> UUID | None:
    """The id of the step that the calling code is in, as LangChain keeps it in the context."""
    config: Any = var_child_runnable_config.get() or {}
    return getattr(config.get("callbacks"), "parent_run_id", None)
