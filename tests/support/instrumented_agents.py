"""Agents that export by OTLP, each instrumented by one library, unmodified.

Usage: instrumented_agents.py NAME. The exporters read the address and the token from the
environment variables of OpenTelemetry. Each agent has a separate process, as for users, because not
every instrumentation undoes all of its patches.
"""

import asyncio
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import openai
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

TOOL: Any = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
}
ASKED: Any = [{"role": "user", "content": "What is 1 and 2?"}]

TRACERS = TracerProvider()
LOGGERS = LoggerProvider()


def converse(tracer: Tracer | None = None) -> None:
    """Ask for a tool, stream an answer, be refused; the agent's own steps are spans by hand."""
    tracer = tracer or TRACERS.get_tracer("agent")
    asked: Any = {"model": "m-1", "tools": [TOOL]}
    with (
        openai.OpenAI(max_retries=0) as client,
        tracer.start_as_current_span(
            "invoke_agent helper",
            attributes={"gen_ai.operation.name": "invoke_agent", "session.id": "s-1"},
        ),
    ):
        client.chat.completions.create(messages=ASKED, **asked)
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add"}
        with tracer.start_as_current_span("execute_tool add", attributes=tool) as step:
            step.set_attribute("gen_ai.tool.call.result", "3")
        stream = client.chat.completions.create(
            messages=ASKED, stream=True, stream_options={"include_usage": True}, **asked
        )
        assert "".join(_texts(stream)) == "It is 3."
        try:
            client.chat.completions.create(messages=ASKED, **asked)
        except openai.BadRequestError:
            return
        raise AssertionError("the last call was not refused")


def _texts(stream: Any) -> Iterator[str]:
    for chunk in stream:
        for choice in chunk.choices:
            yield choice.delta.content or ""


def _whole() -> Any:
    """A span around several runs of an agent, so that they are one trace."""
    whole = {"gen_ai.operation.name": "invoke_agent"}
    tracer = TRACERS.get_tracer("agent")
    return tracer.start_as_current_span("invoke_agent whole", attributes=whole)


def openinference() -> None:
    """OpenInference's instrumentation of the OpenAI client."""
    from openinference.instrumentation.openai import OpenAIInstrumentor  # noqa: PLC0415 - one each

    OpenAIInstrumentor().instrument(tracer_provider=TRACERS)
    converse()


def opentelemetry_own() -> None:
    """OpenTelemetry's own instrumentation, which sends messages as log records."""
    from opentelemetry.instrumentation.openai_v2 import (  # noqa: PLC0415 - one each
        OpenAIInstrumentor,
    )

    OpenAIInstrumentor().instrument(tracer_provider=TRACERS, logger_provider=LOGGERS)
    converse()


def traceloop() -> None:
    """Traceloop's instrumentation, whose messages are indexed attributes."""
    with warnings.catch_warnings(action="ignore"):  # its package configures pydantic in an old way
        from opentelemetry.instrumentation.openai import (  # noqa: PLC0415 - one each
            OpenAIInstrumentor,
        )

    OpenAIInstrumentor().instrument(tracer_provider=TRACERS)
    converse()


def pydantic_ai() -> None:
    """An agent of pydantic-ai, which traces itself: tools, one of which fails, and a stream."""
    from pydantic_ai import Agent  # noqa: PLC0415 - one each
    from pydantic_ai.capabilities import Instrumentation  # noqa: PLC0415 - one each
    from pydantic_ai.models.instrumented import InstrumentationSettings  # noqa: PLC0415 - one each
    from pydantic_ai.models.test import TestModel  # noqa: PLC0415 - one each

    settings = InstrumentationSettings(tracer_provider=TRACERS)
    agent = Agent(
        TestModel(custom_output_text="It is 3."),
        name="adder",
        capabilities=[Instrumentation(settings)],
    )

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        return a + b

    with _whole():
        agent.run_sync("What is 1 and 2?")
        with agent.run_stream_sync("What is 1 and 2?") as streamed:
            assert list(streamed.stream_text())[-1] == "It is 3."

        @agent.tool_plain
        def divide(a: int) -> float:
            return a / 0

        try:
            agent.run_sync("What is 1 by 0?")
        except ZeroDivisionError:
            return
        raise AssertionError("the tool did not fail")


def logfire() -> None:
    """The OpenAI client instrumented by Logfire, which exports by itself, to this server alone."""
    import logfire  # noqa: PLC0415 - one each

    logfire.configure(send_to_logfire=False, console=False)
    logfire.instrument_openai()
    converse(logfire.DEFAULT_LOGFIRE_INSTANCE.config.get_tracer_provider().get_tracer("agent"))
    assert logfire.force_flush()
    logfire.shutdown()


def langchain() -> None:
    """A chain of LangChain with a tool that fails, through OpenInference."""
    from langchain_core.language_models.fake_chat_models import (  # noqa: PLC0415 - one each
        GenericFakeChatModel,
    )
    from langchain_core.messages import AIMessage  # noqa: PLC0415 - one each
    from langchain_core.runnables import RunnableLambda  # noqa: PLC0415 - one each
    from langchain_core.tools import tool  # noqa: PLC0415 - one each
    from openinference.instrumentation.langchain import (  # noqa: PLC0415 - one each
        LangChainInstrumentor,
    )

    LangChainInstrumentor().instrument(tracer_provider=TRACERS)
    usage: Any = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    # The scripted model streams without its usage.
    answers = iter([AIMessage("It is 3.", usage_metadata=usage), AIMessage("It is still 3.")])
    chat = GenericFakeChatModel(messages=answers)

    @tool
    def divide(a: int) -> float:
        """Divide."""
        return a / 0

    def act(text: str) -> Any:
        try:
            divide.invoke({"a": 1})
        except ZeroDivisionError:
            chat.invoke(text)
            return "".join(str(part.content) for part in chat.stream(text))
        raise AssertionError("the tool did not fail")

    assert RunnableLambda(act).invoke("What is 1 and 2?") == "It is still 3."


def openai_agents() -> None:
    """The OpenAI Agents SDK: a tool, a streamed answer, a call that is refused; OpenInference."""
    import agents  # noqa: PLC0415 - one each
    from openinference.instrumentation.openai_agents import (  # noqa: PLC0415 - one each
        OpenAIAgentsInstrumentor,
    )

    OpenAIAgentsInstrumentor().instrument(tracer_provider=TRACERS)

    @agents.function_tool
    def add(a: int, b: int = 2) -> int:
        """Add."""
        return a + b

    model = agents.OpenAIChatCompletionsModel("m-1", openai.AsyncOpenAI(max_retries=0))
    agent = agents.Agent(name="adder", model=model, tools=[add])

    async def run() -> None:
        called = await agents.Runner.run(agent, ASKED)
        streamed = agents.Runner.run_streamed(agent, ASKED)
        assert [event async for event in streamed.stream_events()]
        assert [called.final_output, streamed.final_output] == ["It is 3."] * 2
        try:
            await agents.Runner.run(agent, ASKED)
        except openai.BadRequestError:
            return
        raise AssertionError("the last call was not refused")

    with agents.trace("whole"):
        asyncio.run(run())


AGENTS: dict[str, Callable[[], None]] = {
    agent.__name__: agent
    for agent in (
        openinference,
        opentelemetry_own,
        traceloop,
        pydantic_ai,
        logfire,
        langchain,
        openai_agents,
    )
}


def main() -> None:
    """Run one of the agents, and wait until what it exported was taken."""
    os.environ.setdefault("OPENAI_API_KEY", "sk-secret")
    TRACERS.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    LOGGERS.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
    AGENTS[sys.argv[1]]()
    assert TRACERS.force_flush()
    assert LOGGERS.force_flush()
    TRACERS.shutdown()
    LOGGERS.shutdown()


if __name__ == "__main__":
    main()
