"""The usage of a span: token counts, model and tool, extracted from its payloads.

Payloads are free-form, so the names and places that SDKs use are searched, and only plausible
values are accepted. Anything else is ignored, because a wrong figure in a chart is worse than a
missing one. Sensitive values are not unwrapped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

MAX_COUNT: Final = 2**53
"""The largest accepted count. Beyond it, most readers of JSON lose precision."""

MAX_TEXT: Final = 200
"""The longest accepted model or tool name, in characters."""

_PROMPT: Final = (
    "prompt_tokens",
    "input_tokens",
    "promptTokens",
    "inputTokens",
    "prompt",
    "input",
)
_COMPLETION: Final = (
    "completion_tokens",
    "output_tokens",
    "completionTokens",
    "outputTokens",
    "completion",
    "output",
)
_TOTAL: Final = ("total_tokens", "totalTokens", "total")
_COUNTS_UNDER: Final = ("token_usage", "usage")
_TYPE_SEPARATORS: Final = re.compile(r"[^0-9A-Za-z]+")
_EMPTY: Final[Mapping[str, object]] = {}


class Usage(NamedTuple):
    """The extracted values. None means "not stated", never zero."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    model: str | None = None
    tool_name: str | None = None


def extract_usage(payload: object, result_payload: object = None, schema_name: str = "") -> Usage:
    """Extract the usage from a span's payloads.

    A count in the result has precedence, because the result is the later of the two. A missing
    total is the sum of its two parts. `payload.name` counts as a tool's name only if the span's
    type is a tool's (`langchain:tool`, `tool_call`).
    """
    start, result = _object(payload), _object(result_payload)
    return Usage(
        *_counts(start, result),
        _model(start) or _model(result),
        _tool_name(start, schema_name),
    )


def _counts(
    start: Mapping[str, object], result: Mapping[str, object]
) -> tuple[int | None, int | None, int | None]:
    tables = [*_usage_tables(result), *_usage_tables(start)]
    if not tables:
        return None, None, None
    prompt = _first_count(tables, _PROMPT)
    completion = _first_count(tables, _COMPLETION)
    total = _first_count(tables, _TOTAL)
    if total is None and prompt is not None and completion is not None:
        total = min(prompt + completion, MAX_COUNT)
    return prompt, completion, total


def _usage_tables(payload: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the objects of a payload that may contain counts: its own and its outputs'."""
    # Runs for every span. Few payloads have these keys, so missing keys must be cheap.
    if not payload:
        return []
    found = [_object(payload[key]) for key in _COUNTS_UNDER if key in payload]
    if "outputs" in payload:
        outputs = _object(payload["outputs"])
        found += [_object(outputs[key]) for key in _COUNTS_UNDER if key in outputs]
    return [table for table in found if table]


def _first_count(tables: list[Mapping[str, object]], names: tuple[str, ...]) -> int | None:
    for table in tables:
        for name in names:
            if (count := _count(table.get(name))) is not None:
                return count
    return None


def _model(payload: Mapping[str, object]) -> str | None:
    """Return the name of the model, from the top level or the inputs, under the SDKs' names."""
    if "model" in payload and (text := _text(payload["model"])) is not None:
        return text
    inputs = _object(payload["inputs"]) if "inputs" in payload else _EMPTY
    if not inputs:
        return None
    named = _text(inputs.get("model")) or _text(inputs.get("ai.model.id"))
    return named or _text(_object(_object(inputs.get("ai")).get("model")).get("id"))


def _tool_name(payload: Mapping[str, object], schema_name: str) -> str | None:
    for key in ("tool_name", "tool"):
        if key in payload and (text := _text(payload[key])) is not None:
            return text
    # The plain search comes first: it decides most names at a tenth of the cost of splitting.
    is_tool = "tool" in (word := schema_name.lower()) and "tool" in _TYPE_SEPARATORS.split(word)
    return _text(payload.get("name")) if is_tool else None


def _object(value: object) -> Mapping[str, object]:
    """Return the value if it is a JSON object and not wrapped as sensitive, else an empty one."""
    if isinstance(value, dict) and "$sensitive" not in value:
        return cast("Mapping[str, object]", value)
    return _EMPTY


def _count(value: object) -> int | None:
    """Return a value that is a whole number, such as 12 or 12.0; True does not count as 1."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    return None


def _text(value: object) -> str | None:
    """Return a printable line, or None; some databases cannot store unprintable characters."""
    if not isinstance(value, str):
        return None
    text = value[:MAX_TEXT]
    if not text.isprintable():
        # White space first: without it, the words on both sides of a line break are one.
        text = "".join(filter(str.isprintable, " ".join(text.split())))
    return text.strip() or None
