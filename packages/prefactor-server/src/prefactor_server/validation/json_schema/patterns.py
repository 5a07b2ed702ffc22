"""Estimates the cost of matching text against untrusted patterns.

The engine's time is linear in the length of the text, but its cost per character grows with the
compiled pattern: a twentieth of a microsecond for most, hundreds of microseconds for
`[ab]*a[ab]{5000}`. The compiled size is found by compiling under limits, which has its own cost.
"""

from __future__ import annotations

import re
from typing import Final

import jsonschema_rs

MAX_REGEX_BYTES: Final = 1024 * 1024
"""The memory limit of a compiled pattern: `^.{1,255}$` fits, many repeated classes do not."""

# Measured with texts that make the engine reach many states: at the upper ends, a character takes
# 11, 40 and 380 µs. Smaller patterns reach all their states anyway.
_WEIGHTS: Final = ((2 * 1024, 1), (16 * 1024, 200), (128 * 1024, 800))
_HEAVIEST: Final = 4_000

# Unicode classes and counted repetitions turn a short pattern into a large automaton, and adjacent
# classes into an even larger one.
_CLASSES: Final = re.compile(r"\\[wWdDsSbBpP]|(?<!\\)\.")
_REPETITIONS: Final = re.compile(r"\{(\d{1,6})(?:,(\d{0,6}))?\}")
_STEPS_PER_PATTERN: Final = 300
_STEPS_PER_CHARACTER: Final = 10
_STEPS_PER_CLASS: Final = 500
_STEPS_PER_PAIR: Final = 20
_STEPS_OF_REPEATED_CLASSES: Final = 10_000
_MAX_REPEATED: Final = 600


def linear_regexes(size: int = MAX_REGEX_BYTES) -> jsonschema_rs.RegexOptions:
    """Return the options for an engine without backtracking, and so without look-around."""
    return jsonschema_rs.RegexOptions(size_limit=size, dfa_size_limit=MAX_REGEX_BYTES)


def pattern_steps(pattern: str) -> int:
    """Return a rough upper bound for the steps of compiling a pattern; see `budget`."""
    classes = len(_CLASSES.findall(pattern))
    repeated = sum(int(most or least) for least, most in _REPETITIONS.findall(pattern))
    steps = _STEPS_PER_PATTERN + _STEPS_PER_CHARACTER * len(pattern)
    steps += _STEPS_PER_CLASS * classes + _STEPS_PER_PAIR * classes * classes
    steps += _STEPS_PER_CHARACTER * min(repeated, _MAX_REPEATED)
    return steps + (_STEPS_OF_REPEATED_CLASSES if classes and repeated else 0)


def pattern_weight(pattern: str) -> int:
    """Return a rough upper bound for one character, in twentieths of a microsecond."""
    for size, weight in _WEIGHTS:
        try:
            jsonschema_rs.validator_for(
                {"pattern": pattern}, offline=True, pattern_options=linear_regexes(size)
            )
        except ValueError:
            continue
        return weight
    return _HEAVIEST
