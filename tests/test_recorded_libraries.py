"""Runs recorded through an agent's libraries arrive at the server.

The libraries are real with scripted models; recorder, client and server are real.
"""

from pathlib import Path
from typing import Any

import agents
from agents import Agent, Runner, function_tool
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from live_server import LiveServer
from patience import patience
from prefactor_http import AgentSpan, HttpClientConfig, PrefactorHttpClient
from prefactor_recorder import Recorder
from prefactor_recorder.integrations.langchain import PrefactorCallbackHandler
from prefactor_recorder.integrations.openai_agents import record_agents

LIMIT = 30.0


async def arrived(server: LiveServer, agent_id: str) -> tuple[Any, list[AgentSpan]]:
    """The only run of an agent, and its spans in the order they began."""
    config = HttpClientConfig(api_url=server.url, api_token=server.token)
    async with PrefactorHttpClient(config) as client:
        (run,) = [each async for each in client.agent_instances.iterate(agent_id=agent_id)]
        spans = [
            each
            async for each in client.agent_spans.iterate(
                agent_instance_id=run.id, include_summaries=True
            )
        ]
    return run, sorted(spans, key=lambda each: (each.started_at, each.id))


def lines(spans: list[AgentSpan]) -> list[str]:
    """Each span with its depth, type, status and summary."""
    above = {each.id: each.parent_span_id for each in spans}

    def depth(identifier: str | None) -> int:
        return 0 if identifier is None else 1 + depth(above[identifier])

    return [
        f"{'  ' * depth(each.parent_span_id)}{each.schema_name} {each.status}: {each.summary}"
        for each in spans
    ]


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def graph() -> Any:
    """An agent that calls a model and the tool that it asks for."""
    usage: Any = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    asks = AIMessage(
        "",
        tool_calls=[{"id": "c1", "name": "add", "args": {"a": 1, "b": 2}}],
        usage_metadata=usage,
    )
    answers = AIMessage("It is 3.", usage_metadata=usage)
    model = GenericFakeChatModel(messages=iter([asks, answers]))
    model.metadata = {"ls_model_name": "m-1"}

    async def think(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def following(state: MessagesState) -> str:
        return "act" if state["messages"][-1].tool_calls else END  # type: ignore[union-attr]

    builder = StateGraph(MessagesState)
    builder.add_node("think", think)
    builder.add_node("act", ToolNode([add]))
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", following)
    builder.add_edge("act", "think")
    return builder.compile()


async def test_a_graph_arrives_as_a_tree_with_its_tokens(
    live_server: LiveServer, tmp_path: Path
) -> None:
    """A graph outside any run becomes a run on the server: nested, summarised and counted."""
    with Recorder(live_server.url, live_server.token, spool_dir=tmp_path) as recorder:
        handler = PrefactorCallbackHandler(recorder, agent_id="graph-agent", version="1")
        await graph().ainvoke({"messages": [("user", "1 + 2?")]}, {"callbacks": [handler]})
        assert await recorder.aflush(patience(LIMIT)) == 0

    run, spans = await arrived(live_server, "graph-agent")
    assert run.status == "complete"
    assert lines(spans) == [
        "langchain:chain complete: LangGraph",
        "  langchain:chain complete: think",
        "    langchain:llm complete: m-1:",
        "    langchain:chain complete: following",
        "  langchain:chain complete: act",
        "    langchain:tool complete: add",
        "  langchain:chain complete: think",
        "    langchain:llm complete: m-1: It is 3.",
        "    langchain:chain complete: following",
    ]
    calls = [each.raw for each in spans if each.schema_name == "langchain:llm"]
    assert [each["total_tokens"] for each in calls] == [7, 7]
    assert {each["model"] for each in calls} == {"m-1"}


@function_tool
def broken() -> str:
    """Fail."""
    raise ValueError("no luck")


async def test_a_workflow_arrives_as_a_tree_with_its_failure(
    live_server: LiveServer, tmp_path: Path
) -> None:
    """A workflow inside of a run is a tree below the host's span, a failed tool marked."""
    says = [[function_call("broken", {}, call_id="c1")], [assistant_message("Sorry.")]]
    bot = Agent(name="bot", tools=[broken], model=ScriptedModel([ModelStep(each) for each in says]))
    with Recorder(live_server.url, live_server.token, spool_dir=tmp_path) as recorder:
        record_agents(recorder, replace=True)
        try:
            async with (
                recorder.run("workflow-agent", version="1") as host,
                host.span("shop:order", {"number": 7}),
            ):
                await Runner.run(bot, "Try")
        finally:
            agents.set_trace_processors([])
        assert await recorder.aflush(patience(LIMIT)) == 0

    run, spans = await arrived(live_server, "workflow-agent")
    assert run.status == "complete"
    found = lines(spans)
    assert found[0].startswith("shop:order complete")
    assert found[1:5] == [
        "  openai_agents:trace complete: Agent workflow",
        "    openai_agents:task complete: Agent workflow",
        "      openai_agents:agent complete: bot",
        "        openai_agents:turn complete: bot, 1",
    ]
    assert found[5].startswith("          openai_agents:tool failed: broken: Error running tool")
    assert found[6:] == ["        openai_agents:turn complete: bot, 2"]
