"""What a span used: its token counts, model and tool, read out of its payloads.

The payloads are free-form, so this looks in the places that the SDKs write to, in the spellings
that they use, and takes only values that can be what they claim to be. Whatever else stands there
is ignored: a wrong figure in a chart is worse than a missing one. A value wrapped as sensitive is
not taken out of its wrapper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

MAX_COUNT: Final = 2**53
"""The largest count taken: beyond it, JSON numbers stop being exact in most readers."""

MAX_TEXT: Final = 200
"""The longest model or tool name kept, in characters."""

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
    """What was found; None stands for "not said", never for zero."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    model: str | None = None
    tool_name: str | None = None


def extract_usage(payload: object, result_payload: object = None, schema_name: str = "") -> Usage:
    """Read the usage out of a span's payloads.

    Counts of the result come first, because they are known last; each count is taken on its own,
    and a total that nobody stated is the sum of its two parts. `payload.name` is read as a tool's
    name only when the span's type says that it is a tool (`langchain:tool`, `tool_call`).
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
    """The objects of a payload that may hold counts: its own, and those of its outputs."""
    # Every span passes here, and few payloads have all of these: what is not there costs a look.
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
    """The name of the model: at the top, or among the inputs, under the names that SDKs use."""
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
    # The plain search first, because it settles most names for a tenth of the split's cost.
    is_tool = "tool" in (word := schema_name.lower()) and "tool" in _TYPE_SEPARATORS.split(word)
    return _text(payload.get("name")) if is_tool else None


def _object(value: object) -> Mapping[str, object]:
    """The value if it is a JSON object in the open, else an empty one."""
    if isinstance(value, dict) and "$sensitive" not in value:
        return cast("Mapping[str, object]", value)
    return _EMPTY


def _count(value: object) -> int | None:
    """A whole number that counts something; True is not 1 here, and 12.0 is 12."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    return None


def _text(value: object) -> str | None:
    """One printable line: what cannot be printed cannot be stored by every database either."""
    if not isinstance(value, str):
        return None
    text = value[:MAX_TEXT]
    if not text.isprintable():
        text = "".join(filter(str.isprintable, text))
    return text.strip() or None
