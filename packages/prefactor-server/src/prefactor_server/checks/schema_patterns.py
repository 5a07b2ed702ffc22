"""What it costs to match a text against a pattern that strangers wrote.

The engine's time is linear in the text, but what it takes per character grows with the compiled
pattern: a microsecond for most, thirty for `[ab]*a[ab]{5000}`. How large a pattern compiles to is
found out by compiling it under limits.
"""

from __future__ import annotations

from typing import Final

import jsonschema_rs

MAX_REGEX_BYTES: Final = 1024 * 1024
"""What one compiled pattern may take. `^.{1,255}$` fits, a few hundred repeated classes do not."""

_WEIGHTS: Final = ((16 * 1024, 1), (128 * 1024, 8))
_HEAVIEST: Final = 64


def linear_regexes(size: int = MAX_REGEX_BYTES) -> jsonschema_rs.RegexOptions:
    """Options for an engine without backtracking, and so without look-around."""
    return jsonschema_rs.RegexOptions(size_limit=size, dfa_size_limit=MAX_REGEX_BYTES)


def pattern_weight(pattern: str) -> int:
    """The microseconds that one character may take, at most and roughly."""
    for size, weight in _WEIGHTS:
        try:
            jsonschema_rs.validator_for(
                {"pattern": pattern}, offline=True, pattern_options=linear_regexes(size)
            )
        except ValueError:
            continue
        return weight
    return _HEAVIEST
