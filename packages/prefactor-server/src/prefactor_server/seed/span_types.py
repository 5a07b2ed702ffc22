"""The span types and the quality schemas that the example agents declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_USAGE: Final[Json] = {
    "type": "object",
    "properties": {"prompt_tokens": _COUNT, "completion_tokens": _COUNT},
}
_ERROR: Final[Json] = {
    "type": "object",
    "properties": {"type": _TEXT, "message": _TEXT},
    "required": ["type", "message"],
}
_CUSTOMER: Final[Json] = {
    "classification": "confidential",
    "personal_identifiers": "included",
    "contact_information": "included",
}


def span_types(agent: str, *, moves_money: bool, revision: int) -> list[Json]:
    """Return the declarations of an agent. A later revision declares slightly more."""
    allowed = {"read_data": "allowed", "external_communication": "allowed"}
    if moves_money:
        allowed |= {"financial_transactions": "allowed", "update_data": "allowed"}
    tool_risk = {
        "action_profile": allowed,
        "params_data_categories": _CUSTOMER,
        "result_data_categories": _CUSTOMER | ({"financial_information": "included"}),
    }
    return [
        _agent(agent),
        _llm(agent, revision),
        _tool(agent, tool_risk),
        _retrieval(agent),
        _http(agent),
        _guard(agent),
        _human(agent),
    ]


def quality_schemas() -> list[Json]:
    """Return the quality schemas, with their names and templates."""
    score = {"type": "integer", "minimum": 1, "maximum": 5}
    return [
        {
            "name": "helpfulness",
            "title": "Helpfulness",
            "template": "{{ score }} of 5: {{ reason }}",
            "schema": _object({"score": score, "reason": _TEXT}),
        },
        {
            "name": "policy",
            "title": "Policy check",
            "template": "{% if passed %}passed{% else %}failed: {{ rule }}{% endif %}",
            "schema": _object({"passed": {"type": "boolean"}}, rule=_TEXT),
        },
    ]


def _agent(agent: str) -> Json:
    return {
        "name": f"{agent}:agent",
        "title": "Agent",
        "params_schema": _object({"name": _TEXT, "task": _TEXT}),
        "result_schema": _object({}, answer=_TEXT, error=_ERROR),
        "template": "{{ name }}: {{ task }}",
    }


def _llm(agent: str, revision: int) -> Json:
    more = {"temperature": {"type": "number"}} if revision > 1 else {}
    return {
        "name": f"{agent}:llm",
        "title": "Model call",
        "description": "One call of a language model.",
        "params_schema": _object({"model": _TEXT, "messages": {"type": "array"}}, **more),
        "result_schema": _object({}, content=_TEXT, token_usage=_USAGE, error=_ERROR),
        "template": "{{ model }}: {{ messages | map: 'content' | last | truncate: 90 }}",
        "result_template": "{{ model }}: {{ content | default: error.message | truncate: 90 }}",
        "data_risk": {"params_data_categories": _CUSTOMER},
    }


def _tool(agent: str, risk: Json) -> Json:
    return {
        "name": f"{agent}:tool",
        "title": "Tool call",
        "params_schema": _object({"tool_name": _TEXT, "arguments": {"type": "object"}}),
        "result_schema": _object({}, order=_TEXT, state=_TEXT, error=_ERROR),
        "template": "{{ tool_name }}: {{ label }}",
        "data_risk": risk,
    }


def _retrieval(agent: str) -> Json:
    return {
        "name": f"{agent}:retrieval",
        "title": "Search",
        "params_schema": _object({"query": _TEXT, "limit": _COUNT}),
        "result_schema": _object({"documents": {"type": "array"}}),
        "template": "{{ query }}",
        "result_template": "{{ query }}: {{ documents | size }} documents",
        "data_risk": {"action_profile": {"read_data": "allowed"}},
    }


def _http(agent: str) -> Json:
    return {
        "name": f"{agent}:http",
        "title": "HTTP request",
        "params_schema": _object({"method": _TEXT, "url": _TEXT}),
        "result_schema": _object({}, status_code=_COUNT, bytes=_COUNT, error=_ERROR),
        "template": "{{ method }} {{ url }}",
        "result_template": "{{ method }} {{ url }} → {{ status_code | default: error.type }}",
        "data_risk": {"action_profile": {"external_communication": "allowed"}},
    }


def _guard(agent: str) -> Json:
    return {
        "name": f"{agent}:guard",
        "title": "Guardrail",
        "params_schema": _object({"rule": _TEXT}),
        "result_schema": _object({"passed": {"type": "boolean"}}),
        "template": "{{ rule }}",
        "result_template": "{{ rule }}: {% if passed %}passed{% else %}blocked{% endif %}",
    }


def _human(agent: str) -> Json:
    return {
        "name": f"{agent}:human",
        "title": "Approval",
        "params_schema": _object({"question": _TEXT}),
        "result_schema": _object({"decision": {"enum": ["approved", "refused"]}}, by=_TEXT),
        "template": "{{ question }}",
        "result_template": "{{ question }} {{ decision }} by {{ by }}",
        "data_risk": {"params_data_categories": _CUSTOMER},
    }


def _object(required: Mapping[str, Json], **optional: Json) -> Json:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
    }
