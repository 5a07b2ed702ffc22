"""What the API takes as a name or a text, and how other values are made to fit.

A value that the API refuses would cost the whole run that it describes. What can be corrected is
corrected, counted (`stats().corrected`) and logged once for each field, value and agent.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from numbers import Number
from typing import NamedTuple
from uuid import UUID

from prefactor_recorder.guard import log_safely

MAX_NAME = 256
"""Characters of the longest name, identifier or reference that the API takes."""
MAX_TEXT = 10_000
"""Characters of the longest description that the API takes."""
UNNAMED = "unnamed"
"""The name of a span type whose own name is empty."""
MAX_REPR = 60
"""Characters of a value that the log shows."""
MAX_REMEMBERED = 1000
"""Corrections that are told apart in the log; a host that makes up values must not flood it."""
_READ = 64 * 1024
_DIGEST = 8


class Corrected(NamedTuple):
    """A text that the API takes, and what was done to get it."""

    text: str
    """The text; it may be empty."""
    change: str = ""
    """What was done, in words; empty if the value was right."""


def corrected_name(value: object) -> Corrected:
    """A value as a name, of at most `MAX_NAME` characters.

    One that is too long is cut and ends with a digest of the whole, so that two long names that
    begin alike stay two.

    Raises:
        TypeError: It is neither text nor a number.
    """
    return _corrected(value, MAX_NAME, digest=True)


def corrected_text(value: object) -> Corrected:
    """A value as prose, of at most `MAX_TEXT` characters.

    Raises:
        TypeError: It is neither text nor a number.
    """
    return _corrected(value, MAX_TEXT, digest=False)


def _corrected(value: object, limit: int, *, digest: bool) -> Corrected:
    whole = _as_text(value)
    changes = [] if isinstance(value, str) else ["is recorded as text"]
    # Nobody can read more, and the host waits for this.
    read = whole[:_READ]
    text = read.replace("\0", "").encode("utf-8", "ignore").decode()
    if len(text) < len(read):
        changes.append("is recorded without NUL and unpaired surrogates")
    if len(text) > limit or len(whole) > _READ:
        text = _cut(text, limit, whole, digest=digest)
        changes.append(f"is cut to {limit} characters")
    if not text:
        changes.append("is empty, and left out")
    return Corrected(text, " and ".join(changes))


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # an exact one: a subclass may have a mind of its own
    if isinstance(value, bool) or not isinstance(value, Number | UUID):
        raise TypeError(f"text or a number, not {type(value).__name__}")
    try:
        return str(value)
    except ValueError:  # more digits than Python writes out
        number = Fraction(value) if isinstance(value, int | Fraction) else Fraction(0)
        return hex(number.numerator)


def _cut(text: str, limit: int, whole: str, *, digest: bool) -> str:
    if not digest:
        return text[: limit - 1] + "…"
    import hashlib  # noqa: PLC0415 - hardly anybody needs it

    content = f"{len(whole)}:{text}".encode()
    return f"{text[: limit - _DIGEST - 1]}~{hashlib.sha256(content).hexdigest()[:_DIGEST]}"


def short_repr(value: object) -> str:
    """A value as the log shows it: shortened, and nothing but its type if it is not plain."""
    if isinstance(value, str):
        text = str.__str__(value)
        return repr(text[:MAX_REPR]) + ("…" if len(text) > MAX_REPR else "")
    if type(value) in {bool, float, type(None)}:
        return repr(value)
    if type(value) is int and value.bit_length() <= MAX_REPR:
        return repr(value)
    return f"<{type(value).__name__}>"


class Corrections:
    """What was corrected in this process."""

    def __init__(self) -> None:
        self.count = 0
        """How many values were corrected."""
        self._seen: set[tuple[str, str, str]] = set()

    def note(self, field: str, value: object, agent: object, change: str) -> None:
        """Count a correction, and log the first of its kind. Never raises."""
        self.count += 1
        kind = (field, short_repr(value), short_repr(agent))
        if kind in self._seen or len(self._seen) >= MAX_REMEMBERED:
            return
        self._seen.add(kind)
        log_safely(logging.WARNING, "%s=%s of agent %s %s", *kind, change)


corrections = Corrections()


def schema_name(value: object, agent: object) -> str:
    """The name that a span is recorded under, whatever the host calls it. Never raises."""
    try:
        found = corrected_name(value)
    except TypeError:
        try:
            found = corrected_name(str(value))
        except Exception:  # noqa: BLE001 - a __str__ of the host
            found = corrected_name(type(value).__name__)
        found = Corrected(found.text, found.change or "is recorded as text")
    if found.change:
        change = found.change if found.text else f"is empty, and recorded as {UNNAMED!r}"
        corrections.note("schema_name", value, agent, change)
    return found.text or UNNAMED
