"""Corrects names and texts to what the API accepts.

A value that the API rejects would cost the whole run. Whatever can be corrected is corrected,
counted in `stats().corrected`, and logged once per field, value and agent.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from fractions import Fraction
from numbers import Number
from typing import Any, NamedTuple, cast
from uuid import UUID

from prefactor_recorder.guard import log_safely, not_interrupts

MAX_NAME = 256
"""Maximum length of a name, identifier or reference in characters."""
MAX_TEXT = 10_000
"""Maximum length of a description in characters."""
MAX_KEY = 64
"""Maximum length of a key of metadata in characters."""
MAX_VALUE = 256
"""Maximum length of a value of metadata in characters."""
UNNAMED = "unnamed"
"""Replaces an empty span type name."""
MAX_REPR = 60
"""Maximum characters of a value in the log."""
MAX_REMEMBERED = 1000
"""Distinct corrections logged. A host that generates values must not flood the log."""
_READ = 64 * 1024
_DIGEST = 8


class WrongTypeError(TypeError):
    """A value that is neither text nor a number. The message says what is expected."""


class Corrected(NamedTuple):
    """A text that the API accepts, and how it differs from the original."""

    text: str
    """The text, possibly empty."""
    change: str = ""
    """The change in words; empty if there is no change."""


def corrected_name(value: object) -> Corrected:
    """Return a value as a name of at most `MAX_NAME` characters.

    A longer name is truncated and ends with a digest of the whole, so that long names with the same
    beginning stay distinct.

    Raises:
        WrongTypeError: The value is neither text nor a number.
    """
    return _corrected(value, MAX_NAME, digest=True)


def corrected_text(value: object) -> Corrected:
    """Return a value as prose of at most `MAX_TEXT` characters.

    Raises:
        WrongTypeError: The value is neither text nor a number.
    """
    return _corrected(value, MAX_TEXT, digest=False)


def corrected_key(value: object) -> Corrected:
    """Return a value as a metadata key of at most `MAX_KEY` characters.

    Raises:
        WrongTypeError: The value is neither text nor a number.
    """
    return _corrected(value, MAX_KEY, digest=True)


def corrected_value(value: object) -> Corrected:
    """Return a value as a metadata value of at most `MAX_VALUE` characters.

    Raises:
        WrongTypeError: The value is neither text nor a number.
    """
    return _corrected(value, MAX_VALUE, digest=True)


def _corrected(value: object, limit: int, *, digest: bool) -> Corrected:
    whole = _as_text(value)
    changes = [] if issubclass(type(value), str) else ["is recorded as text"]
    # Bounded, because the host waits for this.
    read = whole[:_READ]
    text = read.replace("\0", "").encode("utf-8", "ignore").decode()
    if len(text) < len(read):
        changes.append("is recorded without NUL and unpaired surrogates")
    if len(text) > limit or len(whole) > _READ:
        text = _cut(text, limit, whole, digest=digest)
        changes.append(f"is truncated to {limit} characters")
    if not text:
        changes.append("is empty and is left out")
    return Corrected(text, " and ".join(changes))


def _as_text(value: object) -> str:
    # By type, because `isinstance` may call code of the host. Subclasses may override anything.
    kind, plain = type(value), cast("Any", value)
    if issubclass(kind, str):
        return str.__str__(plain)
    if issubclass(kind, bool) or not issubclass(kind, Number | UUID):
        raise WrongTypeError(f"text or a number, got {kind.__name__}")
    if issubclass(kind, int):
        plain = int.__int__(plain)
    elif issubclass(kind, float):
        plain = float.__float__(plain)
    try:
        return str(plain)
    except ValueError:  # more digits than Python converts
        if type(plain) not in {int, Fraction}:
            raise
        return hex(Fraction(plain).numerator)


def _cut(text: str, limit: int, whole: str, *, digest: bool) -> str:
    if not digest:
        return text[: limit - 1] + "…"
    import hashlib  # noqa: PLC0415 - rarely needed

    content = f"{len(whole)}:{text}".encode()
    return f"{text[: limit - _DIGEST - 1]}~{hashlib.sha256(content).hexdigest()[:_DIGEST]}"


def is_mapping(value: object) -> bool:
    """Whether a value is a mapping. Never raises."""
    try:
        return isinstance(value, Mapping)
    except not_interrupts():  # a `__class__` of the host
        return False


def short_repr(value: object) -> str:
    """Return a short `repr()` for the log, or only the type if the value is not a plain one."""
    if issubclass(type(value), str):
        text = str.__str__(cast("str", value))
        return repr(text[:MAX_REPR]) + ("…" if len(text) > MAX_REPR else "")
    if type(value) in {bool, float, type(None)}:
        return repr(value)
    if type(value) is int and value.bit_length() <= MAX_REPR:
        return repr(value)
    return f"<{type(value).__name__}>"


class Corrections:
    """Counts and logs corrections in this process."""

    def __init__(self) -> None:
        self.count = 0
        """Corrections so far."""
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


def note_unreadable(field: str, value: object, agent: object, error: BaseException) -> None:
    """Count and log that a value raised when it was read. Never raises."""
    change = f"is left out: reading it raised {type(error).__name__}"
    corrections.note(field, value, agent, change)


def schema_name(value: object, agent: object) -> str:
    """Return a value as the name of a span type. Never raises."""
    try:
        found = corrected_name(value)
    except not_interrupts():
        try:
            found = corrected_name(str(value))
        except not_interrupts():  # a __str__ of the host
            found = corrected_name(type(value).__name__)
        found = Corrected(found.text, found.change or "is recorded as text")
    if found.change:
        change = found.change if found.text else f"is empty and is recorded as {UNNAMED!r}"
        corrections.note("schema_name", value, agent, change)
    return found.text or UNNAMED
