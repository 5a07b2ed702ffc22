"""What a search returns of the spans that match."""

from collections.abc import Callable, Iterator

import pytest

from prefactor_server.domain.search.index import (
    MAX_RUNS,
    MAX_SPANS,
    Match,
    Matches,
    first_of_each_run,
)


def test_one_match_for_each_run() -> None:
    """The first span of each run is returned, in the order of the spans."""
    spans = [Match("b", "2", False), Match("a", "1", False), Match("b", "0", True)]

    assert first_of_each_run(spans) == Matches(spans[:2], complete=True)


@pytest.mark.parametrize(
    ("run_of", "read", "returned"),
    [(lambda number: f"run-{number}", MAX_RUNS + 1, MAX_RUNS), (lambda _: "run", MAX_SPANS, 1)],
)
def test_no_more_spans_are_read_than_needed(
    run_of: Callable[[int], str], read: int, returned: int
) -> None:
    """A search stops at its limit of runs and of spans, and says that there may be more."""
    numbers = iter(range(1_000_000))

    def spans() -> Iterator[Match]:
        yield from (Match(run_of(number), f"span-{number}", False) for number in numbers)

    matches = first_of_each_run(spans())

    assert next(numbers) == read
    assert (len(matches.found), matches.complete) == (returned, False)
