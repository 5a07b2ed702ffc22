"""The stored form of figures: what a series shows as JSON, a line feed, and the histograms' bins.

A series of a year reads hundreds of rollups, and shows of each histogram its total and quantiles
alone. So these are in the JSON, and the bins behind it stay packed until figures are added up.
"""

from __future__ import annotations

import json
import struct
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from prefactor_server.domain.series.figures import Figures, ModelFigures, TypeFigures
from prefactor_server.domain.series.histogram import (
    Histogram,
    Summary,
    stored_end,
)

Entry: TypeAlias = Sequence[Any]
"""What is shown of a span type or a model: its name, and then its figures."""

_END: Final = b"\n"
_BEFORE: Final = b"{"
_CODES_BEFORE: Final = {0: "B", 1: "B", 2: "H", 4: "I", 8: "Q"}
# Faster than json.loads, which makes sure of the encoding first.
_decode_json: Final = json.JSONDecoder().raw_decode


class Shown(NamedTuple):
    """What a series shows of the figures of one bucket."""

    runs: Mapping[str, int]
    run_durations: Sequence[int | None]
    span_types: Sequence[Entry]
    models: Sequence[Entry]


NOTHING_SHOWN: Final = Shown({}, Summary(), (), ())


def encode_figures(figures: Figures) -> bytes:
    """Return figures in their stored form, which is the same for the same figures."""
    types = sorted(figures.span_types.items())
    models = sorted(figures.models.items(), key=lambda item: _order(item[0]))
    shown = Shown(
        dict(sorted(figures.runs.items())),
        figures.run_durations.summary,
        [type_entry(name, one) for name, one in types],
        [model_entry(name, one) for name, one in models],
    )
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    bins = (figures.run_durations.encode(), *(one.durations.encode() for _, one in types))
    return b"".join((text.encode(), _END, *bins))


def decode_figures(stored: bytes) -> Figures:
    """Decode the result of ``encode_figures``, also of an earlier version."""
    if stored.startswith(_BEFORE):
        return _decode_before(stored)
    end = stored.index(_END)
    shown = shown_of(stored)
    start, end = end + 1, stored_end(stored, end + 1)
    run_durations = Histogram.decode(stored[start:end], Summary._make(shown.run_durations))
    types: dict[str, TypeFigures] = {}
    for name, spans, failed, *summary in shown.span_types:
        start, end = end, stored_end(stored, end)
        durations = Histogram.decode(stored[start:end], Summary._make(summary))
        types[name] = TypeFigures(spans, failed, durations)
    models = {name: ModelFigures._make(figures) for name, *figures in shown.models}
    return Figures(shown.runs, run_durations, types, models)


def shown_of(stored: bytes) -> Shown:
    """Return what a series shows of figures in the current stored form."""
    return Shown._make(_decode_json(stored[: stored.index(_END)].decode())[0])


def run_durations_of(stored: bytes, shown: Shown) -> Histogram:
    """Return the durations of runs, of figures in the current stored form."""
    start = stored.index(_END) + 1
    bins = stored[start : stored_end(stored, start)]
    return Histogram.decode(bins, Summary._make(shown.run_durations))


def type_entry(name: str | None, figures: TypeFigures) -> Entry:
    """Return the entry of a span type: spans, failures, and the summary of its durations."""
    return (name, figures.spans, figures.failed, *figures.durations.summary)


def model_entry(name: str | None, figures: ModelFigures) -> Entry:
    """Return the entry of a model, with the fields of ModelFigures."""
    return (name, *figures)


def is_current(stored: bytes) -> bool:
    """Return whether figures are in the form of this version."""
    return not stored.startswith(_BEFORE)


def _decode_before(stored: bytes) -> Figures:
    """Decode figures of an earlier version: one JSON document with bins in base64."""
    document = json.loads(stored)
    return Figures(
        document["runs"],
        _histogram_before(*document["run_durations"]),
        {
            name: TypeFigures(spans, failed, _histogram_before(*durations))
            for name, spans, failed, *durations in document["span_types"]
        },
        {name: ModelFigures._make(figures) for name, *figures in document["models"]},
    )


def _histogram_before(bins: str, counts: str, *_summary: int) -> Histogram:
    packed, packed_counts = a2b_base64(bins), a2b_base64(counts)
    number = len(packed) // 2
    code = _CODES_BEFORE[len(packed_counts) // max(1, number)]
    form = f"<{number}H{number}{code}"
    numbers = struct.unpack(form, packed + packed_counts)
    return Histogram.of_bins(dict(zip(numbers[:number], numbers[number:], strict=True)))


def _order(name: str | None) -> tuple[bool, str]:
    return name is not None, name or ""
