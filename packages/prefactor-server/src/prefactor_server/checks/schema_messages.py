"""What to say about a value that does not match its schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, cast

import jsonschema_rs

MASK: Final = "\u2022\u2022\u2022"
"""Stands for the value in the validator's own messages, until `describe` says what it was."""

_MAX_STEPS: Final = 8
_MAX_STEP: Final = 60
_MAX_QUOTED: Final = 40


def describe(
    error: jsonschema_rs.ValidationError, root: object, *, quote_texts: bool = False
) -> str:
    """Name the place and what is wrong there, such as `"/age": -3 is less than the minimum of 0`.

    Objects, arrays and, unless asked for, texts are named, not quoted: they may be large, and
    messages are read by more people than payloads. So is whatever is wrapped as sensitive.
    """
    path = error.instance_path
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.FalseSchema):
        message = _forbidden(error.schema_path)
    else:
        message = error.message.replace(MASK, _named(root, path, quote_texts=quote_texts))
    return f"{_pointer(path)}: {message}" if path else message


def _forbidden(schema_path: Sequence[str | int]) -> str:
    if schema_path and schema_path[-1] == "additionalProperties":
        return "no properties are allowed here"
    return "no value is allowed here"


def _pointer(path: Sequence[str | int]) -> str:
    """The place as a JSON pointer in quotes; a long one by its beginning."""
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path[:_MAX_STEPS]]
    shown = "".join(f"/{step[:_MAX_STEP]}" for step in steps)
    cut = len(path) > _MAX_STEPS or any(len(step) > _MAX_STEP for step in steps)
    return json.dumps(shown + ("…" if cut else ""), ensure_ascii=False)


def _named(value: object, path: Sequence[str | int], *, quote_texts: bool) -> str:
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
