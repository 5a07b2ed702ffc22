"""LangGraph: nodes, branches, nested graphs, interrupts, and resumption."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, RetryPolicy, interrupt

from prefactor_recorder.errors import RunTerminated
from prefactor_recorder.integrations.langchain import PrefactorCallbackHandler
from prefactor_recorder.testing import InMemoryRecorder
from span_outline import outline, the_span


class Words(TypedDict):
    """The state of the graphs below: the words of their nodes."""

    said: Annotated[list[str], operator.add]


@pytest.fixture
def recorder() -> InMemoryRecorder:
    """A recorder to look at afterwards."""
    return InMemoryRecorder()


@pytest.fixture
def handler() -> PrefactorCallbackHandler:
    """A handler that records inside of runs only."""
    return PrefactorCallbackHandler()


def graph(*edges: tuple[str, str], **nodes: Any) -> StateGraph[Any]:
    """A graph of these nodes; every node without an incoming edge comes first."""
    builder = StateGraph(Words)
    for name, node in nodes.items():
        builder.add_node(name, node)
    for source, target in edges:
        builder.add_edge(source, target)
    for name in nodes.keys() - {target for _, target in edges}:
        builder.add_edge(START, name)
    return builder


def saying(word: str) -> Any:
    """Return a node that adds a word."""

    async def say(_: Words) -> Any:
        await asyncio.sleep(0)
        return {"said": [word]}

    return say


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def agent() -> StateGraph[Any]:
    """A graph that calls a model and the tools that it asks for, in turns."""
    asks = AIMessage("", tool_calls=[{"id": "c1", "name": "add", "args": {"a": 1, "b": 2}}])
    model = GenericFakeChatModel(messages=iter([asks, AIMessage("3")]))

    def think(state: MessagesState) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    def following(state: MessagesState) -> str:
        return "act" if state["messages"][-1].tool_calls else END

    builder = StateGraph(MessagesState)
    builder.add_node("think", think)
    builder.add_node("act", ToolNode([add]))
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", following)
    builder.add_edge("act", "think")
    return builder


AGENT = [
    "chain LangGraph complete",
    "  chain think complete",
    "    llm GenericFakeChatModel complete",
    "    chain following complete",
    "  chain act complete",
    "    tool add complete",
    "  chain think complete",
    "    llm GenericFakeChatModel complete",
    "    chain following complete",
]


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
async def test_an_agent_is_a_tree(recorder: InMemoryRecorder, handler: Any, how: str) -> None:
    """Nodes are children of the graph, and models and tools of their node, in every mode."""
    compiled, config = agent().compile(), {"callbacks": [handler]}
    question: Any = {"messages": [("user", "1 + 2?")]}
    async with recorder.run():
        match how:
            case "invoke":
                compiled.invoke(question, config)
            case "ainvoke":
                await compiled.ainvoke(question, config)
            case "stream":
                list(compiled.stream(question, config, stream_mode=["updates", "values"]))
            case _:
                async for _ in compiled.astream(question, config):
                    pass

    assert outline(recorder) == AGENT
    told = the_span(recorder, "langchain:tool")
    assert told.payload["node"] == "act"
    assert told.payload["tool_call_id"] == "c1"
    assert len(handler._steps) == 0


async def test_parallel_branches_are_siblings(recorder: InMemoryRecorder, handler: Any) -> None:
    """Nodes of the same step of a graph are siblings, and the node that joins them comes after."""
    compiled = graph(
        ("left", "join"), ("right", "join"),
        left=saying("l"), right=saying("r"), join=saying("j"),
    ).compile()  # fmt: skip
    async with recorder.run():
        result = await compiled.ainvoke({"said": []}, {"callbacks": [handler]})

    assert sorted(result["said"]) == ["j", "l", "r"]
    assert outline(recorder, ordered=False) == [
        "chain LangGraph complete",
        "  chain join complete",
        "  chain left complete",
        "  chain right complete",
    ]
    assert the_span(recorder, "langchain:chain", "join").payload["graph_step"] == 2


async def test_a_subgraph_is_a_child_of_its_node(recorder: InMemoryRecorder, handler: Any) -> None:
    """The nodes of a graph that is a node are its children, not the outer graph's."""
    inner = graph(word=saying("w")).compile()
    async with recorder.run():
        await graph(inner=inner).compile().ainvoke({"said": []}, {"callbacks": [handler]})

    assert outline(recorder) == [
        "chain LangGraph complete",
        "  chain inner complete",
        "    chain LangGraph complete",
        "      chain word complete",
    ]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_interrupt_is_not_a_failure(
    recorder: InMemoryRecorder, handler: Any, asynchronous: bool
) -> None:
    """A node that asks is cancelled, with its question, and runs again when it is answered."""

    def ask(_: Words) -> Any:
        return {"said": [interrupt("Really?")]}

    inner = graph(ask=ask).compile()
    compiled = graph(inner=inner).compile(checkpointer=InMemorySaver())
    config: Any = {"callbacks": [handler], "configurable": {"thread_id": "1"}}
    async with recorder.run():
        for given in ({"said": []}, Command(resume="Yes.")):
            if asynchronous:
                await compiled.ainvoke(given, config)
            else:
                compiled.invoke(given, config)

    assert outline(recorder) == [
        "chain LangGraph complete",
        "  chain inner cancelled",
        "    chain LangGraph cancelled",
        "      chain ask cancelled",
        "chain LangGraph complete",
        "  chain inner complete",
        "    chain LangGraph complete",
        "      chain ask complete",
    ]
    asked = recorder.spans[3].result["interrupts"]
    assert [each["value"] for each in asked] == ["Really?"]
    assert recorder.spans[4].payload["inputs"] == {"resume": "Yes."}
    assert "error" not in recorder.spans[3].result


def test_an_interrupt_in_a_tool_is_not_a_failure(recorder: InMemoryRecorder, handler: Any) -> None:
    """A question from within a tool cancels the tool's span as it does the node's."""

    @tool
    def refund() -> str:
        """Give the money back."""
        return interrupt("May I?")

    call = AIMessage("", tool_calls=[{"id": "c1", "name": "refund", "args": {}}])
    builder = StateGraph(MessagesState)
    builder.add_node("act", ToolNode([refund]))
    builder.add_edge(START, "act")
    compiled = builder.compile(checkpointer=InMemorySaver())
    config: Any = {"callbacks": [handler], "configurable": {"thread_id": "1"}}
    with recorder.run():
        compiled.invoke({"messages": [call]}, config)

    assert outline(recorder) == [
        "chain LangGraph complete",
        "  chain act cancelled",
        "    tool refund cancelled",
    ]


def test_a_node_that_redirects_the_graph_is_complete(
    recorder: InMemoryRecorder, handler: Any
) -> None:
    """A command to the parent graph is the outcome of a node, not its failure."""

    def hand_over(_: Words) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="other", update={"said": ["over"]})

    builder = graph(inner=graph(hand_over=hand_over).compile())
    builder.add_node("other", lambda _: {"said": ["here"]})
    with recorder.run():
        result = builder.compile().invoke({"said": []}, {"callbacks": [handler]})

    assert result["said"] == ["over", "here"]
    assert {each.status for each in recorder.spans} == {"complete"}
    handing = the_span(recorder, "langchain:chain", "hand_over")
    assert handing.result["command"]["goto"] == "other" or handing.result["outputs"]


async def test_a_failing_branch_cancels_the_other(recorder: InMemoryRecorder, handler: Any) -> None:
    """The branch that raises has failed, and the one that was stopped is cancelled."""
    waiting = asyncio.Event()

    async def slow(_: Words) -> Any:
        waiting.set()
        await asyncio.Event().wait()

    async def fail(_: Words) -> Any:
        await waiting.wait()
        raise ValueError("no")

    async with recorder.run():
        with pytest.raises(ValueError, match="no"):
            await (
                graph(slow=slow, fail=fail)
                .compile()
                .ainvoke({"said": []}, {"callbacks": [handler]})
            )

    assert outline(recorder, ordered=False) == [
        "chain LangGraph failed",
        "  chain fail failed",
        "  chain slow cancelled",
    ]
    assert len(handler._steps) == 0


def test_each_attempt_of_a_node_is_a_span(recorder: InMemoryRecorder, handler: Any) -> None:
    """Each attempt of a node with a retry policy is a span."""
    attempts: list[int] = []

    def flaky(_: Words) -> Any:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("again")
        return {"said": ["done"]}

    builder = StateGraph(Words)
    policy = RetryPolicy(initial_interval=0.001, retry_on=OSError)
    builder.add_node("flaky", flaky, retry_policy=policy)
    builder.add_edge(START, "flaky")
    with recorder.run():
        builder.compile().invoke({"said": []}, {"callbacks": [handler]})

    assert outline(recorder) == [
        "chain LangGraph complete",
        "  chain flaky failed",
        "  chain flaky complete",
    ]


async def test_a_graph_outside_of_every_run_is_a_run(recorder: InMemoryRecorder) -> None:
    """Concurrent graphs outside any run become separate runs."""
    handler = PrefactorCallbackHandler(recorder)
    compiled = graph(word=saying("w")).compile()
    await asyncio.gather(
        *(compiled.ainvoke({"said": []}, {"callbacks": [handler]}) for _ in range(5))
    )

    assert outline(recorder) == ["chain LangGraph complete", "  chain word complete"] * 5
    assert [each.status for each in recorder.runs] == ["complete"] * 5
    assert [len(each.spans) for each in recorder.runs] == [2] * 5


async def test_a_terminated_run_stops_the_graph(recorder: InMemoryRecorder, handler: Any) -> None:
    """After the run was terminated no further node begins, and the host gets the reason."""
    async with recorder.run() as run:

        async def first(_: Words) -> Any:
            run.mark_terminated("enough")
            return {"said": ["first"]}

        compiled = graph(("first", "second"), first=first, second=saying("never")).compile()
        with pytest.raises(RunTerminated, match="enough"):
            await compiled.ainvoke({"said": []}, {"callbacks": [handler]})

    assert outline(recorder) == ["chain LangGraph failed", "  chain first complete"]
