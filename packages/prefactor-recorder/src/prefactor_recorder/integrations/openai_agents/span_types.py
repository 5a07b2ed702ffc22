"""The span types of the OpenAI Agents SDK."""

from __future__ import annotations

from prefactor_recorder.span_types.registry import SpanTypes

TRACE = "openai_agents:trace"
CUSTOM = "openai_agents:custom"

TYPE_BY_KIND = {
    "agent": "openai_agents:agent",
    "custom": CUSTOM,
    "function": "openai_agents:tool",
    "generation": "openai_agents:llm",
    "guardrail": "openai_agents:guardrail",
    "handoff": "openai_agents:handoff",
    "mcp_tools": "openai_agents:mcp_list",
    "response": "openai_agents:llm",
    "speech": "openai_agents:speech",
    "speech_group": "openai_agents:speech_group",
    "task": "openai_agents:task",
    "transcription": "openai_agents:transcription",
    "turn": "openai_agents:turn",
}
"""The span type for each of the SDK's kinds of spans; `CUSTOM` for any other."""

SPAN_TYPES = SpanTypes()
"""Pass this to `Recorder(span_types=[...])`, so that runs declare these types."""

_ERROR = "{% if error %}: {{ error.message | default: error.error_type | truncate: 80 }}{% endif %}"

for _name, _title, _description, _template in (
    (TRACE, "Workflow", "A trace: everything one workflow does.", "{{ name }}"),
    ("openai_agents:task", "Task", "One call of the runner.", "{{ name }}"),
    ("openai_agents:turn", "Turn", "One turn of an agent's loop.", "{{ agent_name }}, {{ turn }}"),
    ("openai_agents:agent", "Agent", "The time an agent is in charge.", "{{ name }}"),
    (
        "openai_agents:llm",
        "Model call",
        "A call of a model, with the tokens it used.",
        "{{ model }}: {{ text | default: finish_reason | truncate: 80 }}",
    ),
    ("openai_agents:tool", "Tool call", "A call of a function tool.", "{{ name }}"),
    (
        "openai_agents:handoff",
        "Handoff",
        "An agent hands over to another.",
        "{{ from_agent }} to {{ to_agent }}",
    ),
    (
        "openai_agents:guardrail",
        "Guardrail",
        "A check of an input or output.",
        "{{ name }}{% if triggered %}: triggered{% endif %}",
    ),
    ("openai_agents:mcp_list", "Tools of a server", "An MCP server lists tools.", "{{ server }}"),
    ("openai_agents:speech_group", "Speech", "Texts spoken together.", ""),
    ("openai_agents:speech", "Text to speech", "A text is spoken.", "{{ input | truncate: 80 }}"),
    (
        "openai_agents:transcription",
        "Speech to text",
        "Speech is transcribed.",
        "{{ text | truncate: 80 }}",
    ),
    (CUSTOM, "Custom span", "A span of the agent's own code.", "{{ name }}"),
):
    SPAN_TYPES.span_type(
        _name,
        title=_title,
        description=_description,
        template=(_template or _title) + _ERROR,
    )
