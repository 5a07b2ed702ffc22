"""A cache of OpenTelemetry traces, so that most batches need no read.

Entries may be missing or stale. A command that was prepared from them detects that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from prefactor_server.domain.runs.otlp_trace import OtlpTrace
from prefactor_server.otlp.received import ReceivedSpan
from prefactor_server.validation.cache import LatestCache

_MAX_TRACE_BYTES: Final = 8 * 1024 * 1024
_MAX_ENVIRONMENTS: Final = 1_000
_MAX_EARLY_BYTES: Final = 16 * 1024 * 1024
_MAX_EARLY_SPANS: Final = 64

TraceRef: TypeAlias = tuple[str, str]
"""The id of an account, and the key of a trace."""


class KnownTrace(NamedTuple):
    """The run of a trace, and its cached row."""

    run_id: str
    row: OtlpTrace | None


class OtlpMemory:
    """Traces that have a run, spans that arrived before their trace had one, and environments.

    ``spans`` counts spans by outcome.
    """

    def __init__(self) -> None:
        self.spans: Counter[str] = Counter()
        self.environments: LatestCache[str] = LatestCache(_MAX_ENVIRONMENTS)
        self._known: LatestCache[KnownTrace] = LatestCache(_MAX_TRACE_BYTES)
        self._early: LatestCache[list[ReceivedSpan]] = LatestCache(_MAX_EARLY_BYTES)

    def known(self, ref: TraceRef) -> KnownTrace | None:
        """Return the cached data of a trace."""
        return self._known.get(ref)

    def remember(self, ref: TraceRef, known: KnownTrace) -> None:
        """Cache a trace as it is now stored."""
        size = 400 if known.row is None else 400 + len(known.row.document)
        self._known.put(ref, size, known)

    def early(self, ref: TraceRef) -> Sequence[ReceivedSpan]:
        """Return the spans that arrived before the trace had a run."""
        return self._early.get(ref) or ()

    def add_early(self, ref: TraceRef, spans: Sequence[ReceivedSpan]) -> None:
        """Keep spans until their trace has a span about agents.

        Roots are kept longest, because they end the run. Most others are noise.
        """
        known = {span.span_id: span for span in (*self.early(ref), *spans)}
        ordered = sorted(known.values(), key=lambda span: span.is_root)[-_MAX_EARLY_SPANS:]
        self._early.put(ref, len(msgspec.json.encode(ordered)), ordered)

    def forget_early(self, ref: TraceRef) -> None:
        """Drop the early spans, because they are now in the run or in the state of its trace."""
        self._early.remove(ref)
