"""Alerts behind the front door: what they are about, how far they look back, and their pages."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import instance

from prefactor_server.domain.listing import Cursor, Listing, Sort, write_cursor
from prefactor_server.domain.runs.found_alert import Alert, paginate_alerts

TYPES = [
    {
        "name": "school",
        "params_schema": {},
        "data_risk": {"params_data_categories": {"minors_data": "included"}},
    }
]


async def _weighed(door: Any, agreed: str | None = "low", **fields: Any) -> Any:
    """A run of an agent whose profile gives each span of a type 5, which is medium."""
    weights = {"category_weights": {"minors_data": 5}, "agreed_risk": agreed}
    profile = (await door.post("/risk_profile", {"details": {"name": "P", **weights}})).details
    details = {"name": "A", "external_identifier": "risky", "risk_profile_id": profile["id"]}
    await door.post("/agent", {"details": details})
    declared = {"span_type_schemas": TYPES}
    return await door.run("active", agent_id="risky", agent_schema_version=declared, **fields)


async def test_runs_that_ended_badly_are_alerts(door: Any) -> None:
    """A failed run and a terminated one are alerts; runs that went well are not."""
    runs = {status: await door.run(status) for status in ("complete", "failed", "terminated")}

    found = (await door.get("/alerts", {"sorting": "at"})).summaries

    assert [(one["kind"], one["agent_instance_id"]) for one in found] == [
        ("run_failed", runs["failed"]["id"]),
        ("run_terminated", runs["terminated"]["id"]),
    ]
    assert found[0]["at"] == runs["failed"]["finished_at"]
    assert found[1]["termination_reason"] == "enough"
    count = await door.get("/alerts/count")
    assert count.body == {"status": "success", "count": 2, "complete": True}


async def test_a_run_above_the_agreed_risk_is_an_alert(door: Any) -> None:
    """One span of a weighed type is enough when only low risk was agreed."""
    run = await _weighed(door)
    assert (await door.get("/alerts/count")).body["count"] == 0
    await door.span(run, schema_name="school")

    (alert,) = (await door.get("/alerts", {"kind": "risk_exceeded"})).summaries

    assert (alert["agent_instance_id"], alert["type"]) == (run["id"], "alert")
    assert (alert["risk_score"], alert["risk_level"], alert["agreed_risk"]) == (5, "medium", "low")


async def test_what_was_agreed_to_is_no_alert(door: Any) -> None:
    """A run at the agreed level raises no alert; nor do many spans of types without risk."""
    run = await _weighed(door, "medium")
    for name in ("school", "other", "other"):
        await door.span(run, schema_name=name)

    assert (await door.get("/alerts")).summaries == []


async def test_alerts_are_of_the_last_days(door: Any) -> None:
    """What is older than the window is left out."""
    await door.run("failed")
    await door.span(await _weighed(door), schema_name="school")
    door.clock.leap(seconds=8 * 24 * 3600)

    assert (await door.get("/alerts/count")).body["count"] == 0
    assert (await door.get("/alerts/count", {"window_days": "9"})).body["count"] == 2


@pytest.mark.parametrize("days", ["0", "91", "-1", "x", "", "1.5", "999999999999999999999"])
async def test_a_window_has_its_limits(door: Any, days: str) -> None:
    """An invalid window is refused by name, on the list and on the count."""
    for path in ("/alerts", "/alerts/count"):
        refused = await door.get(path, {"window_days": days})
        assert list(refused.refused(422, "validation_errors")["errors"]) == ["window_days"]


async def test_alerts_are_for_account_tokens(door: Any) -> None:
    """A deployment token is told of no alerts."""
    token = await door.deployment_token(await door.run("failed"))

    for path in ("/alerts", "/alerts/count"):
        (await door.get(path, token=token)).refused(403, "not_permitted")


async def test_alerts_come_in_pages(door: Any) -> None:
    """Walking by offset and by cursor finds every alert once, in the same order."""
    for _ in range(5):
        await door.run("failed")
    size = {"pagination[page_size]": "2", "sorting[field]": "at", "sorting[direction]": "desc"}

    whole = (await door.get("/alerts", {"sorting": "-at"})).summaries
    by_offset, by_cursor, after = list[Any](), list[Any](), dict[str, str]()
    for offset in ("0", "2", "4"):
        page = await door.get("/alerts", {**size, "pagination[offset]": offset})
        by_offset += page.summaries
        page = await door.get("/alerts", {**size, **after})
        by_cursor += page.summaries
        after = {"pagination[after]": page.body["pagination"]["next_after"]}

    assert whole == by_offset == by_cursor
    assert len(whole) == 5


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 5), st.booleans(), st.booleans())
def test_a_walk_passes_every_alert_once(
    times: list[int], size: int, descending: bool, by_time: bool
) -> None:
    """Whatever the order and the size of pages, their cursors lead through all alerts."""
    run = instance()
    alerts = [Alert(f"a{n}", "run_failed", at, run) for n, at in enumerate(times)]
    listing = Listing(sort=Sort("at" if by_time else "id", descending), page_size=size)
    walked, page = list[Alert](), paginate_alerts(alerts, listing)
    walked += page.rows
    while page.next is not None:
        page = paginate_alerts(alerts, listing._replace(after=page.next))
        walked += page.rows

    assert walked == list(paginate_alerts(alerts, listing._replace(page_size=100)).rows)
    assert sorted(walked) == sorted(alerts)


async def test_a_forged_cursor_is_refused(door: Any) -> None:
    """A cursor with a text where a time belongs is the caller's mistake."""
    await door.run("failed")
    listing = Listing(sort=Sort("at"))
    forged = write_cursor(Cursor("no time", "id", 1), listing)

    answer = await door.get("/alerts", {"sorting": "at", "pagination[after]": forged})

    answer.refused(422, "validation_errors")
