"""Metadata of a run, corrected to what the API accepts. Never raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from prefactor_recorder.corrections import (
    WrongTypeError,
    corrected_key,
    corrected_value,
    corrections,
)
from prefactor_recorder.guard import not_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from prefactor_recorder.corrections import Corrected

MAX_KEYS: Final = 16
"""Maximum number of keys of a run."""


def corrected_metadata(
    given: object, agent: object, known: AbstractSet[str]
) -> dict[str, str | None]:
    """Return metadata with texts for keys and values. None stands for a key to remove.

    Args:
        given: What the host passed; anything but a mapping is left out.
        agent: The agent as the log names it.
        known: The keys that the run has already. Those beyond `MAX_KEYS` are left out.
    """
    if given is None:
        return {}
    try:
        items = [(key, value) for key, value in cast("Mapping[Any, Any]", given).items()]
    except not_interrupts():  # a mapping of the host
        corrections.note("metadata", given, agent, "is not a mapping and is left out")
        return {}
    texts: dict[str, str | None] = {}
    keys = set(known)
    for given_key, given_value in items:
        key = _text("metadata key", given_key, agent, corrected_key)
        if not key:
            continue
        if given_value is None:
            texts[key] = None
            keys.discard(key)
            continue
        value = _text(f"metadata[{key!r}]", given_value, agent, corrected_value)
        if not value:
            continue
        if key not in keys and len(keys) >= MAX_KEYS:
            change = f"is left out: a run has at most {MAX_KEYS} keys"
            corrections.note("metadata key", key, agent, change)
            continue
        keys.add(key)
        texts[key] = value
    return texts


def _text(
    field: str, value: object, agent: object, correct: Callable[[object], Corrected]
) -> str | None:
    if type(value) is bool:
        value = str(value).lower()
    try:
        found = correct(value)
    except not_interrupts() as error:  # a type of the host
        expected = error if isinstance(error, WrongTypeError) else "text or a number"
        corrections.note(field, value, agent, f"is left out: it must be {expected}")
        return None
    if found.change and found.change != "is recorded as text":
        corrections.note(field, value, agent, found.change)
    return found.text
