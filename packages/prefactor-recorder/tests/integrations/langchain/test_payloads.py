"""Values from LangChain become plain JSON, without secrets."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import pytest
from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.prompt_values import ChatPromptValue
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, Send
from pydantic import BaseModel, field_serializer
from tenacity import Future, RetryCallState, Retrying

from prefactor_recorder.encoding.values import encode
from prefactor_recorder.integrations.langchain import SPAN_TYPES, PrefactorCallbackHandler
from prefactor_recorder.integrations.langchain.payloads import (
    message,
    model_call,
    plain,
    step_metadata,
    step_name,
)
from prefactor_recorder.integrations.langchain.results import llm_result
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import outline, the_span

RUN_ID = UUID(int=1)


@dataclass
class Order:
    """A value of the host."""

    number: int
    note: Any = None


class Refund(BaseModel):
    """A model of the host with a field that breaks its declared type."""

    amount: int


class Odd(BaseModel):
    """A model of the host that cannot be serialised."""

    amount: int = 1

    @field_serializer("amount")
    def fails(self, _: int) -> int:
        """Fail."""
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (HumanMessage("Hi"), {"role": "user", "content": "Hi"}),
        (SystemMessage("Be kind."), {"role": "system", "content": "Be kind."}),
        (AIMessageChunk("Hel"), {"role": "assistant", "content": "Hel"}),
        (ChatMessage("Hi", role="critic"), {"role": "critic", "content": "Hi"}),
        (
            ToolMessage("3", tool_call_id="c1", name="add", status="error"),
            {
                "role": "tool",
                "content": "3",
                "name": "add",
                "tool_call_id": "c1",
                "status": "error",
            },
        ),
        (
            HumanMessage([{"type": "text", "text": "Hi"}]),
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        ),
    ],
)
def test_a_message_has_role_and_content(value: Any, expected: dict[str, Any]) -> None:
    """Roles have the names that all APIs use, and empty fields are not recorded."""
    assert message(value) == expected


def test_invalid_tool_calls_are_recorded() -> None:
    """A tool call whose arguments are not JSON is recorded with its error."""
    said = AIMessage(
        "",
        tool_calls=[{"id": "c1", "name": "add", "args": {"a": 1}}],
        invalid_tool_calls=[{"id": "c2", "name": "add", "args": "{", "error": "cut off"}],
    )
    told = message(said)
    assert told["tool_calls"] == [{"id": "c1", "name": "add", "arguments": {"a": 1}}]
    assert told["invalid_tool_calls"] == [
        {"id": "c2", "name": "add", "arguments": "{", "error": "cut off"}
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, "a", None, True), [1, "a", None, True]),
        ({1: {"b": HumanMessage("Hi")}}, {"1": {"b": {"role": "user", "content": "Hi"}}}),
        (Document("p", metadata={"n": 1}), {"page_content": "p", "metadata": {"n": 1}}),
        (
            ChatPromptValue(messages=[HumanMessage("Hi")]),
            [{"role": "user", "content": "Hi"}],
        ),
        (Order(1, HumanMessage("Hi")), {"number": 1, "note": {"role": "user", "content": "Hi"}}),
        (Refund.model_construct(amount="much"), {"amount": "much"}),
        (Odd(), "<Odd>"),
        (Command(goto="next", update={"a": 1}), {"goto": "next", "update": {"a": 1}}),
        (Send("node", {"a": 1}), {"node": "node", "arg": {"a": 1}}),
        (InMemoryStore(), "<InMemoryStore>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_recorded_by_content(value: Any, expected: Any) -> None:
    """Values of LangChain, LangGraph and the host are recorded by content."""
    assert plain(value) == expected


def test_cycles_and_deep_nesting_are_bounded() -> None:
    """A cyclic value and a very deep one are recorded up to a limit."""
    circle: list[Any] = [1]
    circle.append(circle)
    deep: Any = "bottom"
    for _ in range(100):
        deep = [deep]

    assert plain(circle) == [1, "..."]
    assert encode(plain(deep)).startswith(b"[[[[")


def test_shared_parts_are_bounded() -> None:
    """A value that refers to each of its parts twice, at every level, is recorded up to a limit."""
    shared: Any = ["bottom"]
    for _ in range(30):
        shared = [shared, shared]
    around = AIMessage(content=[{"type": "text", "text": "Hi"}])
    around.content.append(around)

    assert str(plain(shared)).count("...") > 0
    assert plain(around)["content"] == [{"type": "text", "text": "Hi"}, "..."]


def test_secrets_and_internal_metadata_are_left_out() -> None:
    """Metadata that is named like a secret, or is LangChain's own, is not recorded."""
    metadata = {
        "user": "u",
        "openai_api_key": "sk",
        "access_token": "t",
        "langgraph_node": "act",
        "langgraph_step": 2,
        "langgraph_path": ["x"],
        "ls_provider": "v",
        "__pregel": 1,
    }
    more = {"metadata": metadata, "tags": ["t"], "parent_run_id": RUN_ID}
    assert step_metadata(RUN_ID, more) == {
        "node": "act",
        "graph_step": 2,
        "tags": ["t"],
        "metadata": {"user": "u"},
    }
    assert step_metadata(RUN_ID, {}) == {"langchain_run_id": str(RUN_ID)}


def test_model_settings_have_an_allow_list() -> None:
    """Only known settings of a model are recorded, without headers or keys."""
    given = {
        "model": "m-1",
        "temperature": 0,
        "stop": None,
        "tools": [{"name": "add"}],
        "extra_headers": {"authorization": "x"},
        "api_key": "sk",
    }
    assert model_call(None, {"invocation_params": given, "metadata": {"ls_provider": "v"}}) == {
        "model": "m-1",
        "provider": "v",
        "parameters": {"temperature": 0, "tools": [{"name": "add"}]},
    }
    assert model_call({"kwargs": {"model_name": "m-2"}}, {}) == {"model": "m-2"}


def test_a_step_has_the_most_specific_name() -> None:
    """The run's name, else the component's, else its class's, else the kind of step."""
    assert step_name({"name": "b"}, {"name": "a"}, "chain") == "a"
    assert step_name({"name": "b"}, {}, "chain") == "b"
    assert step_name({"id": ["x", "Y"]}, {}, "chain") == "Y"
    assert step_name(None, {}, "chain") == "chain"


def test_every_spelling_of_token_counts_is_read() -> None:
    """LangChain's detailed counts are kept, and vendors' spellings are translated."""
    said = AIMessage(
        "Hi",
        usage_metadata={
            "input_tokens": 3,
            "output_tokens": 2,
            "total_tokens": 5,
            "input_token_details": {"cache_read": 1},
        },
    )
    assert llm_result(LLMResult(generations=[[ChatGeneration(message=said)]]))["token_usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cache_read": 1},
    }
    bedrock = AIMessage("Hi", response_metadata={"usage": {"inputTokens": 3, "outputTokens": 2}})
    assert llm_result(LLMResult(generations=[[ChatGeneration(message=bedrock)]]))[
        "token_usage"
    ] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
    }
    completed = Generation(text="Hi", generation_info={"finish_reason": "length"})
    assert llm_result(LLMResult(generations=[[completed]])) == {
        "text": "Hi",
        "messages": [{"role": "assistant", "content": "Hi"}],
        "finish_reason": "length",
    }
    assert llm_result(LLMResult(generations=[])) == {}


def test_decisions_of_older_agents_are_recorded() -> None:
    """Actions and ends that an agent reports without a step are recorded without duration."""
    recorder, handler = InMemoryRecorder(), PrefactorCallbackHandler()
    with recorder.run():
        handler.on_chain_start({}, {}, run_id=RUN_ID, name="agent")
        handler.on_agent_action(AgentAction("add", {"a": 1}, "thinking"), run_id=RUN_ID)
        handler.on_agent_finish(AgentFinish({"output": "2"}, "done"), run_id=RUN_ID)
        handler.on_chain_end({}, run_id=RUN_ID)
        handler.on_agent_finish(AgentFinish({"output": "2"}, "done"), run_id=UUID(int=2))

    assert outline(recorder) == [
        "chain agent complete",
        "  agent add complete",
        "  agent complete",
    ]


def test_attempts_within_a_step_are_recorded() -> None:
    """A model class that retries by itself reports each failed attempt."""
    recorder, handler = InMemoryRecorder(), PrefactorCallbackHandler()
    state = RetryCallState(Retrying(), None, (), {})
    state.outcome = Future(1)
    state.outcome.set_exception(OSError("busy"))
    with recorder.run():
        handler.on_llm_start({}, ["?"], run_id=RUN_ID)
        handler.on_retry(state, run_id=RUN_ID)
        handler.on_llm_end(LLMResult(generations=[[Generation(text="Hi")]]), run_id=RUN_ID)

    assert the_span(recorder, "langchain:llm").result["retries"] == [
        {"attempt": 1, "error_type": "OSError", "message": "busy"}
    ]


def test_the_types_are_declared() -> None:
    """Each span type has a title and a summary template, and declares no risk."""
    declared = orjson.loads(SPAN_TYPES.schema_version() or b"")["span_type_schemas"]
    assert {each["name"] for each in declared} == {
        f"langchain:{kind}" for kind in ("agent", "chain", "event", "llm", "retriever", "tool")
    }
    assert all(each["title"] and each["template"] for each in declared)
    assert not any("data_risk" in each for each in declared)
