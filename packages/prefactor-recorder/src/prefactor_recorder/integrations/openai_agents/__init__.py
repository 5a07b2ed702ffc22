"""Records runners, agents, models and tools of the OpenAI Agents SDK as spans.

    record_agents()
    with recorder.run("support-bot"):
        await Runner.run(agent, "Where is my order?")

Needs openai-agents: `pip install "openai-agents>=0.1"`.
"""

from prefactor_recorder.integrations.openai_agents.processor import (
    SPAN_TYPES,
    PrefactorTracingProcessor,
    StopWhenTerminated,
    record_agents,
)

__all__ = ["SPAN_TYPES", "PrefactorTracingProcessor", "StopWhenTerminated", "record_agents"]
