"""What it costs to match a text against a pattern that strangers wrote.

The engine's time is linear in the text, but what it takes per character grows with the compiled
pattern: a twentieth of a microsecond for most, hundreds for `[ab]*a[ab]{5000}`. How large a pattern
compiles to is found out by compiling it under limits, which has a price of its own.
"""

from __future__ import annotations

import re
from typing import Final

import jsonschema_rs

MAX_REGEX_BYTES: Final = 1024 * 1024
"""What one compiled pattern may take. `^.{1,255}$` fits, a few hundred repeated classes do not."""

# Measured with texts that keep the engine from settling into few states: 11, 40 and 380 µs for each
# character at the upper end. What is smaller always settles.
_WEIGHTS: Final = ((2 * 1024, 1), (16 * 1024, 200), (128 * 1024, 800))
_HEAVIEST: Final = 4_000

# Classes of Unicode and counted repetitions make a short pattern a large automaton; classes beside
# each other more so.
_CLASSES: Final = re.compile(r"\\[wWdDsSbBpP]|(?<!\\)\.")
_REPETITIONS: Final = re.compile(r"\{(\d{1,6})(?:,(\d{0,6}))?\}")
_STEPS_PER_PATTERN: Final = 300
_STEPS_PER_CHARACTER: Final = 10
_STEPS_PER_CLASS: Final = 500
_STEPS_PER_PAIR: Final = 20
_STEPS_OF_REPEATED_CLASSES: Final = 10_000
_MAX_REPEATED: Final = 600


def linear_regexes(size: int = MAX_REGEX_BYTES) -> jsonschema_rs.RegexOptions:
    """Options for an engine without backtracking, and so without look-around."""
    return jsonschema_rs.RegexOptions(size_limit=size, dfa_size_limit=MAX_REGEX_BYTES)


def pattern_steps(pattern: str) -> int:
    """What compiling a pattern takes, at most and roughly; see `budget`."""
    classes = len(_CLASSES.findall(pattern))
    repeated = sum(int(most or least) for least, most in _REPETITIONS.findall(pattern))
    steps = _STEPS_PER_PATTERN + _STEPS_PER_CHARACTER * len(pattern)
    steps += _STEPS_PER_CLASS * classes + _STEPS_PER_PAIR * classes * classes
    steps += _STEPS_PER_CHARACTER * min(repeated, _MAX_REPEATED)
    return steps + (_STEPS_OF_REPEATED_CLASSES if classes and repeated else 0)


def pattern_weight(pattern: str) -> int:
    """The twentieths of a microsecond that one character may take, at most and roughly."""
    for size, weight in _WEIGHTS:
        try:
            jsonschema_rs.validator_for(
                {"pattern": pattern}, offline=True, pattern_options=linear_regexes(size)
            )
        except ValueError:
            continue
        return weight
    return _HEAVIEST
