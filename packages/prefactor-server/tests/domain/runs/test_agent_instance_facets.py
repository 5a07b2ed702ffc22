"""Facets, from groups of runs."""

from prefactor_server.domain.runs.agent_instance_facets import (
    FACETS,
    MAX_VALUES,
    RunGroup,
    count_facets,
    matching_total,
)


def group(matching: int = 1, **values: str | int) -> RunGroup:
    """Return runs with the given values, and x for all others."""
    return RunGroup(tuple(values.get(name, "x") for name in FACETS), matching, matching)


def test_a_facet_lists_its_most_frequent_values_and_counts_the_rest() -> None:
    """A long facet keeps its most frequent values and says how many it left out."""
    groups = [group(number, agent_id=f"agent-{number:02}") for number in range(1, 31)]

    facet = count_facets(groups, {})["agent_id"]

    assert [one.value for one in facet.values[:2]] == ["agent-30", "agent-29"]
    assert (len(facet.values), facet.more) == (MAX_VALUES, 30 - MAX_VALUES)


def test_a_facet_ignores_only_its_own_filter() -> None:
    """A facet ignores only its own filter; a run that another filter rejects is not counted."""
    groups = [group(2, status="failed", purpose="eval"), group(3, status="failed", purpose="live")]
    chosen = {"status": {"active"}, "purpose": {"live"}}

    facets = count_facets(groups, chosen)

    assert matching_total(groups, chosen) == 0
    assert [tuple(one) for one in facets["status"].values] == [("failed", 3)]
    assert facets["purpose"].values == facets["agent_id"].values == []
