"""The document that holds what evaluations said of a run."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.quality import QualityEntry, no_quality

NAMES = st.sampled_from(["default", "helpful", "Größe", ""])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.builds(
    QualityEntry,
    payload=st.dictionaries(st.text(), JSON, max_size=3),
    summary=st.none() | st.text(),
)


@given(st.lists(st.tuples(NAMES, st.none() | ENTRIES), max_size=12))
def test_each_name_has_what_was_said_last(said: list[tuple[str, QualityEntry | None]]) -> None:
    """Whatever is recorded in whatever order, a name holds its last entry, or none after a None."""
    quality = no_quality("account", "run", 1)
    expected = dict[str, QualityEntry]()
    for number, (name, entry) in enumerate(said, 2):
        quality = quality.record(name, entry, number)
        expected.pop(name, None)
        if entry is not None:
            expected[name] = entry

    assert quality.entries() == expected
    assert (quality.id, quality.account_id, quality.inserted_at) == ("run", "account", 1)
    assert quality.updated_at == len(said) + 1
    assert quality.lookup_keys() == (("run",),)
