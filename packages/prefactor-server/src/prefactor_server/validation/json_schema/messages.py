"""Messages about values that do not match their schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, cast

import jsonschema_rs

MASK: Final = "\u2022\u2022\u2022"
"""The placeholder for the value in the validator's messages, which `describe` replaces."""

_MAX_STEPS: Final = 8
_MAX_STEP: Final = 60
_MAX_QUOTED: Final = 40


def describe(
    error: jsonschema_rs.ValidationError, root: object, *, quote_texts: bool = False
) -> str:
    """Return the place and the problem, such as `"/age": -3 is less than the minimum of 0`.

    Objects, arrays and, by default, strings are described rather than quoted, because they can be
    large, and messages have more readers than payloads. Sensitive values are never quoted, and the
    members of a sensitive object are not named, because names can reveal as much.
    """
    path = error.instance_path
    wrapper = _object_in_wrapper(root, path)
    if wrapper is not None:
        message = "the sensitive value does not match"
        return f"{_pointer(wrapper)}: {message}" if wrapper else message
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.FalseSchema):
        message = _forbidden(error.schema_path)
    else:
        message = error.message.replace(MASK, _description(root, path, quote_texts=quote_texts))
    return f"{_pointer(path)}: {message}" if path else message


def _forbidden(schema_path: Sequence[str | int]) -> str:
    if schema_path and schema_path[-1] == "additionalProperties":
        return "no properties are allowed here"
    return "no value is allowed here"


def _pointer(path: Sequence[str | int]) -> str:
    """Return a place as a quoted JSON pointer, shortened if it is long."""
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path[:_MAX_STEPS]]
    shown = "".join(f"/{step[:_MAX_STEP]}" for step in steps)
    is_cut = len(path) > _MAX_STEPS or any(len(step) > _MAX_STEP for step in steps)
    return json.dumps(shown + ("…" if is_cut else ""), ensure_ascii=False)


def _object_in_wrapper(value: object, path: Sequence[str | int]) -> Sequence[str | int] | None:
    """Return the path of the sensitive wrapper that contains a place in an object, or None."""
    wrapper = None
    for number, step in enumerate(path):
        if isinstance(value, dict):
            if wrapper is None and "$sensitive" in value:
                wrapper = number
            value = cast("dict[str, object]", value).get(str(step))
        elif isinstance(value, list) and isinstance(step, int):
            value = cast("list[object]", value)[step]
    if wrapper is None or (len(path) == wrapper + 1 and not isinstance(value, dict)):
        return None
    return path[:wrapper]


def _description(value: object, path: Sequence[str | int], *, quote_texts: bool) -> str:
    for step in path:
        if isinstance(value, dict):
            fields = cast("dict[str, object]", value)
            if "$sensitive" in fields:
                return "the sensitive value"
            value = fields.get(str(step))
        elif isinstance(value, list) and isinstance(step, int):
            value = cast("list[object]", value)[step]
    if isinstance(value, dict):
        return "the object"
    if isinstance(value, list):
        return "the array"
    quoted = json.dumps(value, ensure_ascii=False, default=str)
    if len(quoted) > _MAX_QUOTED or (isinstance(value, str) and not quote_texts):
        return "the text" if isinstance(value, str) else "the value"
    return quoted
