"""What the steps of this agent look like to those who read the record.

A span type says what goes into a step and what comes out (JSON Schema), which one-line summary the
server writes for it (Liquid), and what kind of data it touches. The schemas are there to be read
and checked, not to be obeyed: a payload that does not fit is stored and marked.
"""

from typing import Any

from prefactor_recorder import SpanTypes

TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
TEXTS = {"type": "array", "items": TEXT}
# How the recorder writes down why a step failed.
ERROR = {
    "type": "object",
    "properties": {"error_type": TEXT, "message": TEXT, "stacktrace": TEXT},
    "required": ["error_type", "message"],
}
TOKEN_USAGE = {
    "type": "object",
    "properties": {"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT},
}


def schema(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """Return the JSON Schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def outcome(**properties: Any) -> dict[str, Any]:
    """Return the JSON Schema of a result; that of a failed step holds an error, maybe only that."""
    return schema({}, **properties, error=ERROR)


READS_DOCUMENTS = {
    "action_profile": {
        "read_data": "allowed",
        "create_data": "disallowed",
        "update_data": "disallowed",
        "destroy_data": "disallowed",
        "financial_transactions": "disallowed",
        "external_communication": "disallowed",
    },
    "result_data_categories": {"classification": "internal"},
}

SPAN_TYPES = SpanTypes()

SPAN_TYPES.span_type(
    "agent:question",
    title="Question",
    description="The whole way from a question to its answer",
    params=schema({"question": TEXT, "folder": TEXT}),
    result=outcome(answer=TEXT, sources=TEXTS, found=COUNT),
    template="{{ question | truncate: 80 }}"
    "{% if found %} → {{ found }} quote{% if found != 1 %}s{% endif %}{% endif %}",
)

SPAN_TYPES.span_type(
    "agent:plan",
    title="Plan",
    description="Decide which terms to search for and which document to try first",
    params=schema({"question": TEXT}),
    result=outcome(terms=TEXT, first_guess=TEXT),
    template="search for {{ terms | default: 'nothing' }}; try {{ first_guess }} first",
)

SPAN_TYPES.span_type(
    "agent:search",
    title="Search",
    description="Find the passages that hold the terms, and read the documents they are in",
    params=schema({"terms": TEXT}),
    result=outcome(hits=COUNT, read=TEXTS),
    template='search "{{ terms }}" → {{ hits | default: 0 }} passages',
)

SPAN_TYPES.span_type(
    "agent:index",
    title="Build index",
    description="Note which passage of which document holds which terms",
    params=schema({"folder": TEXT}),
    result=outcome(documents=COUNT, passages=COUNT, skipped=TEXTS),
    template="{{ documents }} documents, {{ passages }} passages"
    "{% if skipped.size > 0 %}, {{ skipped.size }} skipped{% endif %}",
    data_risk=READS_DOCUMENTS,
)

SPAN_TYPES.span_type(
    "agent:read_file",
    title="Read file",
    description="A tool call: read a document, or some lines of it",
    params=schema({"path": TEXT, "reason": TEXT}, first_line=COUNT, last_line=COUNT),
    result=outcome(lines=COUNT),
    template="{{ path }}{% if first_line %}:{{ first_line }}-{{ last_line }}{% endif %} → "
    "{% if error %}could not be read{% else %}{{ lines }} lines{% endif %}",
    data_risk=READS_DOCUMENTS,
)

SPAN_TYPES.span_type(
    "agent:rank",
    title="Rank passages",
    description="Order the passages by what their text says about the question",
    params=schema({"passages": COUNT}),
    result=outcome(kept=COUNT, best=TEXT),
    template="{{ passages }} passages → {{ kept }} kept{% if best %}, best {{ best }}{% endif %}",
)

SPAN_TYPES.span_type(
    "agent:answer",
    title="Write answer",
    description="Quote the sentences that answer best, each with its source",
    params=schema({"model": TEXT, "passages": COUNT}),
    result=outcome(answer=TEXT, sources=TEXTS, token_usage=TOKEN_USAGE),
    template="{{ sources.size | default: 0 }} quotes"
    "{% if sources.size > 0 %}, the first from {{ sources | first }}{% endif %}",
)
