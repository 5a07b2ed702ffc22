"""Spans by their ids: up to a hundred at once, with their payloads."""

from typing import Any

import pytest


async def test_spans_are_read_by_their_ids(api_client: Any) -> None:
    """The existing spans are on one page, ordered by id, from any run, each as if read alone."""
    one, other = await api_client.run(), await api_client.run()
    spans = [
        await api_client.span(run, id=f"span-{number:02}", payload={"n": number})
        for number, run in enumerate([one, other] * 15)
    ]
    wanted = ["span-29", *(f"span-{number:02}" for number in range(25)), "span-29", "nobodys"]

    page = await api_client.get(
        "/agent_spans", {"ids": ",".join(wanted), "include_summaries": "true"}
    )

    assert [row["id"] for row in page.summaries] == sorted(set(wanted) - {"nobodys"})
    assert [row["payload"]["n"] for row in page.summaries] == [*range(25), 29]
    assert page.summaries[-1] == (await api_client.get("/agent_spans/span-29")).details
    assert page.summaries[-1]["agent_instance_id"] == spans[29]["agent_instance_id"]
    assert page.body["pagination"]["item_count"] == 26
    assert page.body["pagination"]["next_after"] is None


async def test_ids_show_only_visible_spans(api_client: Any) -> None:
    """By their ids, a deployment token reads the spans of its own agent only."""
    own, other = await api_client.run(), await api_client.run(agent_id="agent-2")
    mine, theirs = await api_client.span(own), await api_client.span(other)
    token = await api_client.deployment_token(own)

    page = await api_client.get(
        "/agent_spans", {"ids": f"{mine['id']},{theirs['id']}"}, token=token
    )

    assert [row["id"] for row in page.summaries] == [mine["id"]]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"ids": ""}, 422, "validation_errors"),
        ({"ids": "a,,b"}, 422, "validation_errors"),
        ({"ids": "a b"}, 422, "validation_errors"),
        ({"ids": ",".join(map(str, range(101)))}, 422, "validation_errors"),
        ({"ids": "a", "agent_id": "agent-1"}, 400, "bad_request"),
        ({"ids": "a", "sorting": "-id"}, 400, "bad_request"),
        ({"ids": "a", "pagination[page_size]": "1"}, 400, "bad_request"),
    ],
)
async def test_ids_exclude_other_filters(
    api_client: Any, query: Any, status: int, code: str
) -> None:
    """More than a hundred ids, invalid ids, and filters together with ids are refused."""
    (await api_client.get("/agent_spans", query)).refused(status, code)
