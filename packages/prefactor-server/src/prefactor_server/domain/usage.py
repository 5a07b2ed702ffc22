"""What a span used: its token counts, model and tool, read out of its payloads.

The payloads are free-form, so this looks in the places that the SDKs write to, in the spellings
that they use, and takes only values that can be what they claim to be. Whatever else stands there
is ignored: a wrong figure in a chart is worse than a missing one. A value wrapped as sensitive is
not taken out of its wrapper.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

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
_MODEL_PATHS: Final = (
    ("model",),
    ("inputs", "model"),
    ("inputs", "ai.model.id"),
    ("inputs", "ai", "model", "id"),
)
_TOOL_PATHS: Final = (("tool_name",), ("tool",))
_ERROR_TYPE_PATHS: Final = (("error", "error_type"),)
_TYPE_SEPARATORS: Final = re.compile(r"[^0-9A-Za-z]+")
_EMPTY: Final[Mapping[str, object]] = {}


@dataclass(frozen=True, slots=True)
class Usage:
    """What was found; None stands for "not said", never for zero."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    model: str | None = None
    tool_name: str | None = None
    error_type: str | None = None


def extract_usage(payload: object, result_payload: object = None, schema_name: str = "") -> Usage:
    """Read the usage out of a span's payloads.

    Counts of the result come first, because they are known last; each count is taken on its own,
    and a total that nobody stated is the sum of its two parts. `payload.name` is read as a tool's
    name only when the span's type says that it is a tool (`langchain:tool`, `tool_call`).
    """
    start, result = _object(payload), _object(result_payload)
    prompt, completion, total = _counts(start, result)
    # The plain search first, because it settles most names for a tenth of the split's cost.
    is_tool = "tool" in (word := schema_name.lower()) and "tool" in _TYPE_SEPARATORS.split(word)
    named = (("name",),) if is_tool else ()
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        model=_first_text((start, result), _MODEL_PATHS),
        tool_name=_first_text((start,), (*_TOOL_PATHS, *named)),
        error_type=_first_text((result, start), _ERROR_TYPE_PATHS),
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


def _usage_tables(payload: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """The objects of a payload that may hold counts: its own, and those of its outputs."""
    for holder in (payload, _object(payload.get("outputs"))):
        for key in _COUNTS_UNDER if holder else ():
            if table := _object(holder.get(key)):
                yield table


def _first_count(tables: list[Mapping[str, object]], names: tuple[str, ...]) -> int | None:
    for table in tables:
        for name in names:
            if (count := _count(table.get(name))) is not None:
                return count
    return None


def _first_text(
    payloads: tuple[Mapping[str, object], ...], paths: tuple[tuple[str, ...], ...]
) -> str | None:
    for payload in payloads:
        for path in paths:
            if payload and (text := _text(_at(payload, path))) is not None:
                return text
    return None


def _at(payload: Mapping[str, object], path: tuple[str, ...]) -> object:
    value: object = payload
    for key in path:
        value = _object(value).get(key)
    return value


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
