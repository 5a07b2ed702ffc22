"""Series of days that an earlier version counted."""

import base64
import json
import struct
from typing import Any

import pytest
from recorded_series import follow, recorded

from prefactor_server.domain.errors import Unavailable
from prefactor_server.domain.series.bucket import DAY
from prefactor_server.domain.series.histogram import Histogram
from prefactor_server.domain.series.rollup import Rollup, RollupDue, RollupKey
from prefactor_server.domain.series.stored_figures import decode_figures
from prefactor_server.storage.feed import Deleted, Derived


def text(code: str, numbers: Any) -> str:
    """Numbers in base64."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}{code}", *numbers)).decode()


def before(row: Rollup, *, first: bool) -> Rollup:
    """A rollup as an earlier version wrote it, the first one with wide counts and no quantiles."""

    def histogram(one: Histogram) -> tuple[str | int | None, ...]:
        counts = one.counts
        packed = (text("H", [*counts]), text("Q" if first else "B", [*counts.values()]))
        summary = [one for one in one.summary if one is not None]
        return packed if first else (*packed, *summary)

    figures = decode_figures(row.figures)
    document = {
        "runs": figures.runs,
        "run_durations": histogram(figures.run_durations),
        "span_types": [
            [name, one.spans, one.failed, *histogram(one.durations)]
            for name, one in figures.span_types.items()
        ],
        "models": [[name, *one] for name, one in figures.models.items()],
    }
    return row._replace(figures=json.dumps(document).encode())


async def stored(storage: Any) -> dict[RollupKey, Rollup]:
    """All rollups."""
    keys = [RollupKey(*one.key) for one in await storage.feed.some(Rollup, 1000)]
    return {row.key: row for row in await storage.series.rollups_by_key(keys)}


async def go_back(storage: Any) -> None:
    """Restore the rows that earlier versions and the migration leave."""
    rows = await stored(storage)
    own = [row for row in rows.values() if row.key != row.key.of_all]
    due = {RollupDue(*row[:4]) for row in own if row.bucket_seconds == DAY.seconds}
    state = (await storage.feed.states())["series"]
    changed = Derived(
        upserted=[*(before(row, first=bool(at % 2)) for at, row in enumerate(own)), *due],
        deleted=[Deleted(Rollup, key) for key in rows if key == key.of_all],
    )
    assert await storage.feed.advance(state, state, changed)


async def test_days_of_an_earlier_version_stay_as_they_were(
    api_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers are equal before, during and after the rewrite, by servers that are killed too."""
    staging = await recorded(api_client)
    await follow(api_client)
    storage = api_client.storage
    account = (await api_client.get("/account")).summaries[0]["id"]

    async def answers() -> list[Any]:
        paths = (f"/account/{account}/series", "/agent/agent-1/series", "/agent/agent-2/series")
        asked = ({"bucket": "day"}, {"bucket": "day", "environment_id": staging}, {})
        return [
            (await api_client.get(path, query)).details | {"behind_seconds": 0}
            for path in paths
            for query in asked
        ]

    rows, expected = await stored(storage), await answers()
    await go_back(storage)
    assert await stored(storage) != rows
    assert await answers() == expected

    monkeypatch.setattr("prefactor_server.follower.series._DUE_SLICE", 1)
    advance = type(storage.feed).advance
    killed = 0

    async def dying(self: Any, *values: Any) -> Any:
        nonlocal killed
        killed += 1
        if killed % 2:
            raise Unavailable("killed before the commit")
        await advance(self, *values)
        raise Unavailable("killed after the commit")

    monkeypatch.setattr(type(storage.feed), "advance", dying)
    for _ in range(4):
        with pytest.raises(Unavailable):
            await follow(api_client)
        assert await answers() == expected
    monkeypatch.setattr(type(storage.feed), "advance", advance)
    await follow(api_client)

    days = {key: row for key, row in rows.items() if key.bucket_seconds == DAY.seconds}
    after = await stored(storage)
    assert {key: after[key] for key in days} == days
    assert await answers() == expected
    assert await storage.feed.some(RollupDue, 1) == []
    # From here on, shorter buckets also get rows with sums.
    await recorded(api_client)
    await follow(api_client)
    assert {key.of_all for key in await stored(storage)} == {key.of_all for key in rows}
    sums = {key for key in rows if key == key.of_all}
    assert sums
    assert sums <= (await stored(storage)).keys()
