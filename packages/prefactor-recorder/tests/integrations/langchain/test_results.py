"""Models, tools and retrievers of LangChain have their own results."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, GenerationChunk
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import ToolException, tool

from langchain_fixture import SEQUENCE, answering, asking, config
from prefactor_recorder.integrations.langchain import PrefactorCallbackHandler
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import outline, the_span

USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def test_a_model_call_is_recorded(recorder: InMemoryRecorder, handler: Any) -> None:
    """Messages, model, settings, text, tokens and finish reason are recorded."""
    metadata = {"model_name": "m-1-2026", "finish_reason": "stop"}
    model = answering(AIMessage("Hi", usage_metadata=USAGE, response_metadata=metadata))
    model.metadata = {"ls_model_name": "m-1"}
    with recorder.run():
        model.invoke(
            "Hello",
            config(handler, metadata={"user": "u", "openai_api_key": "sk-1"}),
            stop=["."],
            api_key="sk-1",
        )

    told = the_span(recorder, "langchain:llm")
    assert told.payload["model"] == "m-1"
    assert told.payload["messages"] == [{"role": "user", "content": "Hello"}]
    assert told.payload["parameters"] == {"stop": ["."]}
    assert told.payload["metadata"] == {"user": "u"}
    assert told.result == {
        "text": "Hi",
        "messages": [{"role": "assistant", "content": "Hi"}],
        "model": "m-1-2026",
        "finish_reason": "stop",
        "token_usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


class Streaming(GenericFakeChatModel):
    """A chat model that streams a tool call, and then its usage."""

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        pieces = [
            AIMessageChunk(""),
            *(
                AIMessageChunk(
                    "",
                    tool_call_chunks=[{"id": "c1", "name": name, "args": args, "index": 0}],
                )
                for name, args in (("add", '{"a":'), (None, " 1}"))
            ),
            AIMessageChunk("", usage_metadata=USAGE),
        ]
        for piece in pieces:
            yield ChatGenerationChunk(message=piece)


async def test_a_stream_is_one_span(recorder: InMemoryRecorder, handler: Any) -> None:
    """Chunks of a stream are counted and joined, with the time until the first one."""
    model = asking(answering("Hello my friend"))
    with recorder.run():
        pieces = [each async for each in model.astream({"question": "?"}, config(handler))]

    assert "".join(pieces) == "Hello my friend"
    told = the_span(recorder, "langchain:llm")
    assert told.result["text"] == "Hello my friend"
    assert told.result["streaming"]["chunks"] == 5
    assert told.result["streaming"]["first_token_ms"] > 0
    assert len(recorder.spans) == 4
    assert the_span(recorder, "langchain:chain", "RunnableSequence").result["inputs"] == {
        "question": "?"
    }


def test_a_streamed_tool_call_is_merged(recorder: InMemoryRecorder, handler: Any) -> None:
    """Chunks of a tool call without text count, and so do tokens sent at the end."""
    with recorder.run():
        list(Streaming(messages=iter([])).stream("add", config(handler)))

    result = the_span(recorder, "langchain:llm").result
    assert result["messages"][0]["tool_calls"] == [
        {"id": "c1", "name": "add", "arguments": {"a": 1}}
    ]
    assert result["token_usage"]["total_tokens"] == 5
    assert result["streaming"]["chunks"] == 2


def test_an_interrupted_stream_keeps_its_text(recorder: InMemoryRecorder, handler: Any) -> None:
    """The text received before a failure is recorded with it."""

    class Breaking(GenericFakeChatModel):
        def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
            yield ChatGenerationChunk(message=AIMessageChunk("Hel"))
            raise OSError("connection lost")

    with recorder.run(), pytest.raises(OSError, match="connection lost"):
        list(Breaking(messages=iter([])).stream("?", config(handler)))

    told = the_span(recorder, "langchain:llm")
    assert told.status == "failed"
    assert told.result["text"] == "Hel"
    assert told.result["error"]["error_type"] == "OSError"


def test_an_abandoned_stream_ends(recorder: InMemoryRecorder, handler: Any) -> None:
    """Every span of a stream that the host stops reading ends."""
    with recorder.run():
        stream = asking(answering("Hello my friend")).stream({"question": "?"}, config(handler))
        next(iter(stream))
        stream.close()

    assert {each.status for each in recorder.spans} <= {"complete", "cancelled"}
    assert len(handler._steps) == 0


class Completing(FakeListLLM):
    """A model that completes texts, a letter at a time."""

    def _stream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[GenerationChunk]:
        for letter in self._call(prompt):
            run_manager.on_llm_new_token(letter)
            yield GenerationChunk(text=letter)


def test_a_completing_model_is_recorded(recorder: InMemoryRecorder, handler: Any) -> None:
    """Models that complete texts are recorded like chat models, a span for each prompt."""
    model = Completing(responses=["one", "two"])
    with recorder.run():
        assert model.batch(["1", "2"], config(handler)) == ["one", "two"]
        assert "".join(model.stream("3", config(handler))) == "one"

    first, second, streamed = recorder.spans
    assert first.payload["messages"] == [{"role": "user", "content": "1"}]
    assert [first.result["text"], second.result["text"]] == ["one", "two"]
    assert streamed.result["streaming"]["chunks"] == 3


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def broken() -> str:
    """Fail."""
    raise ToolException("no luck")


def test_a_tool_has_name_arguments_and_call_id(recorder: InMemoryRecorder, handler: Any) -> None:
    """A tool that a model called is recorded with the id of that call."""
    asked = {"type": "tool_call", "id": "c1", "name": "add", "args": {"a": 1, "b": 2}}
    with recorder.run():
        add.invoke(asked, config(handler))
        assert add.invoke({"a": 1, "b": 2}, config(handler)) == 3

    first, second = recorder.spans
    assert first.payload["name"] == "add"
    assert first.payload["arguments"] == {"a": 1, "b": 2}
    assert first.payload["tool_call_id"] == "c1"
    assert first.result == {"output": "3"}
    assert second.result == {"output": 3}


def test_a_failing_tool_has_failed(recorder: InMemoryRecorder, handler: Any) -> None:
    """The span of a failing tool has the stack if the tool raised, or only the model's error."""
    asked = {"type": "tool_call", "id": "c1", "name": "broken", "args": {}}
    with recorder.run():
        with pytest.raises(ToolException):
            broken.invoke({}, config(handler))
        handled = broken.model_copy(update={"handle_tool_error": True})
        handled.invoke(asked, config(handler))

    raised, told = recorder.spans
    assert raised.status == told.status == "failed"
    assert raised.result["error"]["error_type"] == "ToolException"
    assert "no luck" in raised.result["error"]["stacktrace"]
    assert told.result["error"] == {"error_type": "ToolError", "message": "no luck"}


class Shelf(BaseRetriever):
    """Finds the same document always."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        if query == "?":
            raise LookupError("nothing to look for")
        return [Document("A page.", metadata={"source": "book"})]


def test_a_retriever_has_query_and_documents(recorder: InMemoryRecorder, handler: Any) -> None:
    """The query is the payload, documents with metadata are the result, and a failure fails it."""
    with recorder.run():
        Shelf().invoke("pages", config(handler))
        with pytest.raises(LookupError):
            Shelf().invoke("?", config(handler))

    found, failed = recorder.spans
    assert found.schema_name == "langchain:retriever"
    assert found.payload["query"] == "pages"
    assert found.result == {
        "count": 1,
        "documents": [{"page_content": "A page.", "metadata": {"source": "book"}}],
    }
    assert failed.status == "failed"


@pytest.mark.filterwarnings(
    "ignore:The method `BaseChatModel._chat_model_stream_v3`"
    ":langchain_core._api.LangChainBetaWarning"
)
def test_typed_events_are_counted_once(recorder: InMemoryRecorder, handler: Any) -> None:
    """A piece that is reported both as a token and as an event is one chunk."""
    with recorder.run():
        events = answering("Hello my friend").stream_events("?", config(handler), version="v3")
        assert list(events)

    result = the_span(recorder, "langchain:llm").result
    assert result["text"] == "Hello my friend"
    assert result["streaming"]["chunks"] == 5


def test_a_handler_passed_twice_keeps_its_place(recorder: InMemoryRecorder) -> None:
    """A call within a tool that passes the handler again is the tool's child, in the same run."""
    handler = PrefactorCallbackHandler(recorder)

    @tool
    def look() -> str:
        """Look around."""
        return asking(answering("Hi")).invoke({"question": "?"}, {"callbacks": [handler]})

    look.invoke({}, config(handler))

    assert len(recorder.runs) == 1
    assert outline(recorder) == ["tool look complete", *("  " + line for line in SEQUENCE)]


class Vendor(GenericFakeChatModel):
    """A model whose class reports tokens the vendor's way only, for two candidates."""

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        said = [ChatGeneration(message=AIMessage(text)) for text in ("a", "b")]
        return ChatResult(
            generations=said,
            llm_output={"token_usage": {"prompt_tokens": 7, "completion_tokens": 1}, "model": "v"},
        )

    async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
        return self._generate()


async def test_token_counts_in_the_whole_output_are_read(
    recorder: InMemoryRecorder, handler: Any
) -> None:
    """Tokens that a model class reports in the whole output are recorded too."""
    async with recorder.run():
        await Vendor(messages=iter([])).ainvoke("?", config(handler))

    result = the_span(recorder, "langchain:llm").result
    assert [each["content"] for each in result["messages"]] == ["a", "b"]
    assert result["model"] == "v"
    assert result["token_usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 1,
        "total_tokens": 8,
    }
