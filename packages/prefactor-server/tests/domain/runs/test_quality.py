"""The document that holds a run's evaluations."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.runs.quality import QualityEntry, RunQuality, entry_text, no_quality

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
def test_each_name_has_its_last_entry(said: list[tuple[str, QualityEntry | None]]) -> None:
    """A name holds its last recorded entry, or nothing after None."""
    quality = RunQuality.of(no_quality("account", "run", 1))
    expected = dict[str, QualityEntry]()
    for number, (name, entry) in enumerate(said, 2):
        text = None
        if entry is not None:
            text = entry_text(json.dumps(entry["payload"]).encode(), entry["summary"], None)
        quality = quality.record(name, text, number)
        expected.pop(name, None)
        if entry is not None:
            expected[name] = entry

    row = quality.row()
    assert quality.entries() == row.entries() == RunQuality.of(row).entries() == expected
    assert {name: quality.entry(name) for name in expected} == expected
    assert quality.size == (len(row.document) if expected else 1)
    assert (quality.id, quality.account_id, quality.inserted_at) == ("run", "account", 1)
    assert quality.updated_at == len(said) + 1
    assert quality.lookup_keys() == (("run",),)


def test_recording_a_name_does_not_change_others() -> None:
    """Other entries are not decoded or encoded again, so their text stays identical."""
    before = RunQuality.of(no_quality("account", "run", 1))
    for number in range(3):
        before = before.record(f"q{number}", entry_text(b"{}", None, None), 2)

    after = before.record("q1", entry_text(b'{"a":1}', None, None), 3)

    assert all(after.texts[name] is before.texts[name] for name in ("q0", "q2"))
    assert after.entry("q1") == {"payload": {"a": 1}, "summary": None}
