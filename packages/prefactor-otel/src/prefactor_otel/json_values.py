"""Reads and converts JSON values: arguments and declarations of tools, counts of tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import orjson

REMOVED = "[removed]"
SECRETS = frozenset({"authorization", "authorization_token", "headers", "api_key", "access_token"})
"""Members of a tool declaration that hold credentials, as for remote tools."""
_JSON_BEGINS = '{["-0123456789tfn \t\r\n'
"""The characters that JSON can begin with."""
_LONG_NUMBER = re.compile(r"[0-9][0-9.]{15}|[0-9][eE]")
"""Matches numbers that may lose precision: more than 15 digits, or an exponent."""


def without_secrets(tools: Any) -> Any:
    """Return tool declarations without the credentials for remote tools."""
    if isinstance(tools, Mapping):
        return {
            name: REMOVED if name in SECRETS and value else without_secrets(value)
            for name, value in cast("Any", tools).items()
        }
    if isinstance(tools, list | tuple):
        return [without_secrets(tool) for tool in cast("Any", tools)]
    return tools


def parse_arguments(text: Any) -> Any:
    """Return the decoded arguments of a tool call, or the model's text if it is not JSON."""
    if not isinstance(text, str) or text[:1] not in _JSON_BEGINS:
        return text
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return text


def loads(text: str | bytes) -> Any:
    """Decode JSON without losing precision. A number that no float can represent stays text.

    Integers may have any size. orjson turns integers beyond 64 bits into floats, so text with long
    numbers or exponents is decoded by `json`, which is slower.

    Raises:
        ValueError: The text is not JSON.
        RecursionError: It is nested too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode()
    if _LONG_NUMBER.search(text) is None:
        return orjson.loads(text)
    return json.loads(text, parse_float=_number, parse_constant=_refuse)


def _number(text: str) -> float | str:
    number = float(text)
    exact = number - number == 0 and Decimal(repr(number)) == Decimal(text)
    return number if exact else text


def _refuse(name: str) -> Any:
    message = f"{name} is not JSON"
    raise ValueError(message)


def tokens(prompt: Any, completion: Any, total: Any = None) -> dict[str, int]:
    """Return `token_usage` in the common form; empty without counts."""
    if not isinstance(prompt, int) and not isinstance(completion, int):
        return {}
    counts = [count if isinstance(count, int) else 0 for count in (prompt, completion)]
    return {
        "prompt_tokens": counts[0],
        "completion_tokens": counts[1],
        "total_tokens": total if isinstance(total, int) else sum(counts),
    }


def members(value: Any) -> dict[str, Any]:
    """Return an object's members as a dict, or an empty dict for anything else."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    return dict(cast("Any", value)) if isinstance(value, Mapping) else {}


def items(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a JSON list, or an empty list for anything else."""
    return [members(item) for item in cast("Any", value)] if isinstance(value, list) else []


def without_none(**values: Any) -> dict[str, Any]:
    """Return the values that are not None, including 0, false and empty values."""
    return {name: value for name, value in values.items() if value is not None}


def without_empty(**values: Any) -> dict[str, Any]:
    """Return the values that are not None or empty. For tools, use `without_none`."""
    return {
        name: value
        for name, value in values.items()
        # Truth is checked first, because that is faster.
        if value or (value is not None and value not in ({}, [], ""))
    }
