"""Content negotiation: the coding of a response, by the ``Accept-Encoding`` of its request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

T = TypeVar("T", bound=str)

_MAX_CODINGS: Final = 32
_WEIGHT: Final = re.compile(r"q\s*=\s*(0(?:\.[0-9]*)?|1(?:\.0*)?)", re.ASCII)


def preferred_coding(headers: Iterable[tuple[bytes, bytes]], offered: Sequence[T]) -> T | None:
    """Return the offered coding that the headers of a request prefer, or None for plain content.

    Equal weights are decided by the order of ``offered``. A coding with ``q=0`` or a malformed
    weight is not used, and neither is one with a lower weight than ``identity``. A client that
    accepts nothing at all, as with ``*;q=0``, gets plain content: it may be able to read that, but
    not an error.
    """
    fields = [value for name, value in headers if name == b"accept-encoding"]
    weights: dict[str, float] = {}
    for part in b",".join(fields).decode("latin-1").split(",", _MAX_CODINGS)[:_MAX_CODINGS]:
        name, _, parameters = part.partition(";")
        weights[name.strip().lower()] = _weight(parameters.strip().lower())
    others = weights.get("*", 0.0)
    best = max(offered, key=lambda coding: weights.get(coding, others))
    weight = weights.get(best, others)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weight(parameters: str) -> float:
    if not parameters:
        return 1.0
    match = _WEIGHT.fullmatch(parameters)
    return float(match[1]) if match else 0.0
