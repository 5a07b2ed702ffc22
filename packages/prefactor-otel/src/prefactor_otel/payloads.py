"""Converts attributes of OpenTelemetry spans to payloads and results.

It reads the semantic conventions for generative AI under their old and new names, the attributes of
Traceloop's instrumentations, and OpenInference. Unknown attributes are kept as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from prefactor_otel.json_values import (
    items,
    members,
    parse_arguments,
    tokens,
    without_empty,
    without_secrets,
)
from prefactor_otel.kinds import kind_of
from prefactor_otel.messages import (
    as_messages,
    input_events,
    nested,
    openinference_messages,
    output_events,
    text_of,
    tool_calls_of,
)

if TYPE_CHECKING:
    from prefactor_otel.span import OtelSpan

JsonObject = dict[str, Any]

_KINDS = (
    "gen_ai.operation.name",
    "openinference.span.kind",
    "traceloop.span.kind",
    "llm.request.type",
)
_PREFIXES = (
    "embedding.",
    "gen_ai.completion.",
    "gen_ai.prompt.",
    "gen_ai.usage.",
    "llm.",
    "reranker.",
    "retrieval.",
)
"""The prefixes of attributes that are taken by prefix."""
_USAGE = ("gen_ai.usage.", "llm.usage.", "llm.token_count.")
_COUNTS = (
    ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    ("llm.usage.total_tokens", "llm.token_count.total"),
)
"""The names of the tokens of the prompt, of the completion, and of both."""
_CALLS = frozenset({"llm", "embedding", "reranker"})
_DETAILS_EVENT = "gen_ai.client.inference.operation.details"
_REQUEST = "gen_ai.request."


class _Attributes:
    """A span's attributes. Readers take the known ones; the others remain.

    No attribute is taken twice by prefix, so the prefixes that readers take must not overlap.
    """

    def __init__(self, span: OtelSpan) -> None:
        self.events = [(each.name, dict(each.attributes)) for each in span.events]
        self.remaining: JsonObject = dict(span.attributes)
        for name, attributes in self.events:
            if name == _DETAILS_EVENT:
                self.remaining = {**attributes, **self.remaining}
        self._nested = [name for name in self.remaining if name.startswith(_PREFIXES)]
        self._names = "\n".join(self.remaining)

    def has_any(self, part: str) -> bool:
        """Return whether the name of any attribute contains a text.

        Most spans have few of the known attributes, so this saves lookups.
        """
        return part in self._names

    def take_all(self, prefixes: tuple[str, ...]) -> JsonObject:
        """Take the attributes whose names begin with one of the prefixes (of `_PREFIXES`)."""
        names = [name for name in self._nested if name.startswith(prefixes)]
        return {name: self.remaining.pop(name) for name in names}

    def take(self, *names: str) -> Any:
        """Take all names of one attribute. Return the first value that is not None."""
        remaining, found = self.remaining, None
        for name in names:
            if name in remaining:
                value = remaining.pop(name)
                found = value if found is None else found
        return found

    def take_json(self, *names: str) -> Any:
        """Take an attribute, decoded if it is JSON."""
        value = self.take(*names)
        return None if value is None else parse_arguments(value)

    def take_value(self, name: str, *names: str) -> JsonObject:
        """Take an attribute as an object with the member `name`; empty if the attribute is missing.

        JSON null, 0, false and empty values are not missing.
        """
        value = self.take(*names)
        return {} if value is None else {name: parse_arguments(value)}

    def take_prefix(self, prefix: str) -> Any:
        """Take all attributes `prefix.…` as one nested value."""
        if not self._nested:
            return None
        dotted = f"{prefix}."
        names = [name for name in self._nested if name.startswith(dotted)]
        taken = {name: self.remaining.pop(name) for name in names}
        return nested(taken, prefix) if taken else None


def payload_and_result(span: OtelSpan) -> tuple[JsonObject, JsonObject]:
    """Return the payload and the result of a span, from its current attributes."""
    attributes = _Attributes(span)
    usage = _usage(attributes)
    result = _result(attributes)
    if kind_of(span) not in _CALLS and usage:
        # These are totals of child spans. As `token_usage`, they would be counted twice.
        usage = {"totals": usage.get("token_usage", usage["usage"])}
    # Logfire names spans by templates. The text and a schema are in attributes.
    name = span.name
    if attributes.has_any("logfire."):
        name = attributes.take("logfire.msg") or name
        attributes.take("logfire.json_schema", "logfire.msg_template")
    payload = _payload(attributes)
    origin = without_empty(trace_id=span.trace_id, span_id=span.span_id, scope=span.scope)
    more = without_empty(attributes=attributes.remaining, otel=origin)
    return {"name": name, **payload, **more}, {**result, **usage}


def _payload(attributes: _Attributes) -> JsonObject:
    model = attributes.take(
        "gen_ai.request.model", "llm.model_name", "embedding.model_name", "reranker.model_name"
    )
    messages = _messages(
        attributes, "gen_ai.input.messages", "llm.input_messages", "gen_ai.prompt"
    ) or input_events(attributes.events)
    entity = attributes.take_value("input", "input.value", "traceloop.entity.input")
    attributes.take("input.mime_type", *_KINDS)
    inputs = _input(attributes) or ({} if messages else entity)
    payload = without_empty(
        model=model,
        provider=attributes.take("gen_ai.provider.name", "gen_ai.system", "llm.provider"),
        system=attributes.take_json("gen_ai.system_instructions"),
        messages=messages,
        tools=without_secrets(_tools(attributes)),
        tool_name=attributes.take("gen_ai.tool.name", "tool.name", "tool_call.function.name"),
        tool=_tool(attributes),
        agent=_agent(attributes),
        conversation_id=attributes.take("gen_ai.conversation.id", "session.id"),
        parameters=_parameters(attributes),
    )
    return {**payload, **inputs}


def _messages(attributes: _Attributes, newest: str, flattened: str, older: str) -> list[JsonObject]:
    """Return the messages in the first of these forms that has any. All of them are taken."""
    as_json, in_parts = attributes.take(newest), attributes.take_prefix(flattened)
    older_in_parts, older_as_json = attributes.take_prefix(older), attributes.take(older)
    return (
        as_messages(as_json)
        or openinference_messages(in_parts)
        or as_messages(older_in_parts)
        or as_messages(older_as_json)
    )


def _tools(attributes: _Attributes) -> Any:
    if not (attributes.has_any("tool") or attributes.has_any("functions")):
        return None
    declared = attributes.take_json("gen_ai.tool.definitions")
    openinference = attributes.take_prefix("llm.tools")
    if isinstance(openinference, list):
        openinference = [
            parse_arguments(members(tool.get("tool")).get("json_schema"))
            for tool in items(openinference)
        ]
    return declared or openinference or attributes.take_prefix("llm.request.functions")


def _tool(attributes: _Attributes) -> JsonObject:
    if not attributes.has_any("tool"):
        return {}
    return without_empty(
        id=attributes.take("gen_ai.tool.call.id", "tool_call.id", "tool.id"),
        type=attributes.take("gen_ai.tool.type"),
        description=attributes.take("gen_ai.tool.description", "tool.description"),
    )


def _agent(attributes: _Attributes) -> JsonObject:
    if not (attributes.has_any("agent.") or attributes.has_any("workflow.")):
        return {}
    return without_empty(
        name=attributes.take("gen_ai.agent.name", "agent.name", "gen_ai.workflow.name"),
        id=attributes.take("gen_ai.agent.id"),
        description=attributes.take("gen_ai.agent.description"),
        version=attributes.take("gen_ai.agent.version"),
    )


def _input(attributes: _Attributes) -> JsonObject:
    """Return the input of a tool, a retriever or an embedding, as `input`."""
    texts = attributes.take_prefix("embedding.embeddings")
    if isinstance(texts, list):
        # Without the vectors.
        texts = [members(each.get("embedding")).get("text") for each in items(texts)]
    arguments = attributes.take_value(
        "input", "gen_ai.tool.call.arguments", "tool.parameters", "tool_call.function.arguments"
    )
    query = attributes.take("gen_ai.retrieval.query.text", "reranker.query")
    return arguments or without_empty(input=query or texts)


def _parameters(attributes: _Attributes) -> JsonObject:
    named = {
        name.removeprefix(_REQUEST): attributes.remaining.pop(name)
        for name in [*attributes.remaining]
        if name.startswith(_REQUEST)
    }
    parameters = attributes.take_json("llm.invocation_parameters")
    return {**parameters, **named} if isinstance(parameters, dict) else named


def _result(attributes: _Attributes) -> JsonObject:
    messages = _messages(
        attributes, "gen_ai.output.messages", "llm.output_messages", "gen_ai.completion"
    ) or output_events(attributes.events)
    first = messages[0] if messages else {}
    reasons = attributes.take_json("gen_ai.response.finish_reasons", "llm.finish_reason")
    returned = attributes.take_value("output", "gen_ai.tool.call.result")
    output = attributes.take_value("output", "output.value", "traceloop.entity.output")
    attributes.take("output.mime_type")
    result = without_empty(
        model=attributes.take("gen_ai.response.model"),
        response_id=attributes.take("gen_ai.response.id"),
        text=text_of(first) if first else None,
        tool_calls=tool_calls_of(first) if first else None,
        messages=messages,
        finish_reason=_first(reasons) or first.get("finish_reason"),
        time_to_first_token=attributes.take("gen_ai.response.time_to_first_chunk"),
    )
    return {**result, **(returned or ({} if messages else output)), **_documents(attributes)}


def _first(reasons: Any) -> Any:
    if not isinstance(reasons, list | tuple):
        return reasons
    return next(iter(cast("Any", reasons)), None)


def _documents(attributes: _Attributes) -> JsonObject:
    """Return the documents found, as `documents`. An empty list is kept."""
    if not attributes.has_any("documents"):
        return {}
    result = attributes.take_value("documents", "gen_ai.retrieval.documents")
    for prefix in ("retrieval.documents", "reranker.output_documents"):
        found = attributes.take_prefix(prefix)
        documents = [each.get("document", each) for each in items(found)]
        result = result or without_empty(documents=documents)
    return result


def _usage(attributes: _Attributes) -> JsonObject:
    found = attributes.take_all(_USAGE)
    if not found:
        return {}
    usage = {
        name.rpartition("usage.")[2].removeprefix("llm.token_count."): value
        for name, value in found.items()
    }
    counts = [_first_of(found, names) for names in _COUNTS]
    return without_empty(usage=usage, token_usage=tokens(*counts))


def _first_of(found: JsonObject, names: tuple[str, ...]) -> Any:
    return next((found[name] for name in names if found.get(name) is not None), None)
