"""A recorder's spans as a tree that a test can compare."""

from collections.abc import Sequence

from prefactor_recorder.testing import InMemoryRecorder, RecordedSpan


def name_of(span: RecordedSpan) -> str:
    """Return an integration's name for a step."""
    return str(span.payload.get("name", ""))


def the_span(recorder: InMemoryRecorder, schema_name: str, name: str | None = None) -> RecordedSpan:
    """The one span of a type, or the one of that name among them."""
    (found,) = (each for each in recorder.spans_named(schema_name) if name in {None, name_of(each)})
    return found


def outline(recorder: InMemoryRecorder, *, ordered: bool = True) -> list[str]:
    """A line for each span, indented below its parent: the word of its type, name and status.

    What happens side by side begins in any order: without `ordered`, siblings are sorted.
    """

    def tree(span: RecordedSpan, depth: int) -> list[str]:
        kind = span.schema_name.rpartition(":")[2]
        words = [word for word in (kind, name_of(span), span.status) if word]
        return ["  " * depth + " ".join(words), *branches(span.children, depth + 1)]

    def branches(spans: Sequence[RecordedSpan], depth: int) -> list[str]:
        trees = [tree(each, depth) for each in spans]
        return [line for lines in (trees if ordered else sorted(trees)) for line in lines]

    lost = [each for each in recorder.spans if each.parent_id and each.parent is None]
    assert not lost, f"these have no parent: {lost}"
    return branches([each for each in recorder.spans if each.parent is None], 0)
