"""Sample spans, as a pure function."""

import json
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.runs.sample_span import sample_spans

NAMES = st.sampled_from(["a", "b", "c"])
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["object", "array", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "enum", "a", "b"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
TYPES = st.lists(
    st.fixed_dictionaries({"name": NAMES, "params_schema": ODD, "result_schema": ODD}), max_size=3
)


@given(TYPES, st.integers(1, 5), st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_spans(
    declared: list[dict[str, Any]], count: int, seed: int
) -> None:
    """A seed always gives the requested number of spans, one after the other until now."""
    spans = sample_spans(Random(seed).randrange, declared, count, 10**15)
    again = sample_spans(Random(seed).randrange, declared, count, 10**15)

    assert spans == again
    assert len(spans) == count
    assert {span.schema_name for span in spans} <= {
        *(one["name"] for one in declared),
        *(() if declared else ("test:span",)),
    }
    assert all(span.started_at < span.finished_at for span in spans)
    assert [span.started_at for span in spans[1:]] == [span.finished_at for span in spans[:-1]]
    assert spans[-1].finished_at == 10**15


def test_a_payload_has_a_limited_number_of_values() -> None:
    """However many properties a schema nests, and however large its choices, payloads are small."""
    schema: dict[str, Any] = {"enum": ["a" * 100_000, [0] * 10_000, {"b": "c" * 100_000}]}
    for _ in range(4):
        several = {"type": "array", "items": schema}
        properties = {f"p{number}": several if number % 2 else schema for number in range(20)}
        schema = {"type": "object", "properties": properties}
    drawn: list[int] = []

    def randbelow(limit: int) -> int:
        drawn.append(limit)
        return 0

    (span,) = sample_spans(randbelow, [{"name": "t", "params_schema": schema}], 1, 10**15)

    assert 100 < len(drawn) < 1000
    assert len(json.dumps(span.payload)) < 10_000
