"""Agents, tools and scripted models of the OpenAI Agents SDK."""

from typing import Any

from agents import Agent, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call


def agent(*says: list[Any], name: str = "bot", **more: Any) -> Agent[Any]:
    """Return an agent whose model gives these answers in turn."""
    return Agent(name=name, model=ScriptedModel(list(says)), **more)


@function_tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def calling(tool: str, **arguments: Any) -> list[Any]:
    """Return a model's answer that calls a tool."""
    return [function_call(tool, arguments, call_id=f"call-{tool}")]


def saying(text: str) -> list[Any]:
    """Return a model's final answer."""
    return [assistant_message(text)]


AGENT = [
    "trace Agent workflow complete",
    "  task Agent workflow complete",
    "    agent bot complete",
    "      turn complete",
    "        tool add complete",
    "      turn complete",
]
