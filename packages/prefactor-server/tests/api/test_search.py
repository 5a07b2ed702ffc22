"""Full-text search of runs through the API, the same on every database."""

from typing import Any

import pytest
from indexing import index


async def record(
    api_client: Any, run_id: str, *spans: dict[str, Any], agent: str = "agent-1"
) -> Any:
    """Record a run with spans that contain text."""
    run = await api_client.register(run_id, agent_id=agent)
    for number, span in enumerate(spans):
        await api_client.span(run, id=f"{run_id}-{number}", **span)
    return run


async def found(api_client: Any, text: str, **query: str) -> list[str]:
    """The ids of the runs in which a text is found, in the order of ids."""
    token = query.pop("token", None)
    answer = await api_client.get("/agent_instance", {"text": text, **query}, token=token)
    return sorted(run["id"] for run in answer.summaries)


TEXTS = {
    "latin": "The Café refunded order-17 to Zoë",
    "cyrillic": "Возврат заказа",
    "japanese": "東京都の天気",
    "syntax": 'NEAR("a b", 5) OR col:x* - + ^ \\ \' & | !',
}
FOUND = [
    ("cafe", ["latin"]),
    ("REFUND", ["latin"]),
    ("order 17 zoe", ["latin"]),
    ("order 18", []),
    ("fund", []),
    ("to", ["latin"]),
    ("возвр", ["cyrillic"]),
    ("東京", ["japanese"]),
    ("都", ["japanese"]),
    ("京東", []),
    ('"near"', ["syntax"]),
    ("NEAR(a b)", ["syntax"]),
    ("a OR nothing", []),
    ("col:x*", ["syntax"]),
    ("latin*", []),
    ("'; DROP TABLE block; --", []),
    ("refunded & !order", ["latin"]),
    ("refunded <-> order:*", ["latin"]),
]


async def test_words_and_prefixes_are_found(api_client: Any) -> None:
    """A query is words in any script and case, without operators."""
    for name, text in TEXTS.items():
        await record(api_client, name, {"payload": {"said": [text]}})
    await index(api_client.storage)

    assert {query: await found(api_client, query) for query, _ in FOUND} == dict(FOUND)


async def test_all_words_are_in_one_span(api_client: Any) -> None:
    """Summary, payload and result are searched as one text, and words must be in the same span."""
    await record(
        api_client,
        "one",
        {"payload": {"a": "apple"}, "status": "complete", "result_payload": {"b": "banana"}},
    )
    await record(api_client, "two", {"payload": {"a": "apple"}}, {"payload": {"b": "banana"}})
    await index(api_client.storage)

    assert await found(api_client, "apple banana") == ["one"]
    assert await found(api_client, "apple") == ["one", "two"]


async def test_a_match_says_where_it_is(api_client: Any) -> None:
    """A match names the span and quotes the recorded text around the words."""
    await record(
        api_client, "run", {"payload": {"a": "nothing"}}, {"payload": {"q": "<b>Lisbon</b>"}}
    )
    await record(api_client, "long", {"payload": {"a": "Lisbon " + "x " * 40_000}})
    await index(api_client.storage)

    answer = await api_client.get("/agent_instance", {"text": "lisb", "sorting": "-id"})

    run, long = answer.summaries
    assert run["match"] == {
        "span_id": "run-1",
        "snippet": "<b>Lisbon</b>",
        "truncated": False,
    }
    assert long["match"]["truncated"] is True
    assert answer.body["search"] == {"behind_seconds": 0.0, "complete": True, "limited": False}
    assert "match" not in (await api_client.get("/agent_instance/run")).details
    plain = await api_client.get("/agent_instance")
    assert "search" not in plain.body
    assert "match" not in plain.summaries[0]


async def test_a_search_is_a_list_like_any_other(api_client: Any) -> None:
    """A search is filtered, sorted, counted and paged, and has facets."""
    for number in range(5):
        run = await record(api_client, f"run-{number}", {"payload": {"a": "shared words"}})
        if number % 2:
            await api_client.post(f"/agent_instance/{run['id']}/start")
    await record(api_client, "other", {"payload": {"a": "something else"}})
    await index(api_client.storage)
    query = {"text": "shared", "sorting": "-id", "pagination[page_size]": "2"}

    first = await api_client.get("/agent_instance", query)
    after = first.body["pagination"]["next_after"]
    second = await api_client.get("/agent_instance", {**query, "pagination[after]": after})
    facets = (await api_client.get("/agent_instance/facets", {"text": "shared"})).details

    assert [run["id"] for run in first.summaries] == ["run-4", "run-3"]
    assert [run["id"] for run in second.summaries] == ["run-2", "run-1"]
    assert first.body["pagination"]["item_count"] == 5
    assert await found(api_client, "shared", status="active") == ["run-1", "run-3"]
    assert (facets["item_count"], facets["search"]["complete"]) == (5, True)
    assert facets["facets"]["status"]["values"][0] == {"value": "pending", "count": 3}


async def test_sensitive_and_discarded_values_are_not_found(api_client: Any) -> None:
    """A sensitive value is never indexed, and a discarded one is removed from the index."""
    secret = {"$sensitive": "pii", "value": "hidden4711"}
    await record(api_client, "run", {"payload": {"open": "visible", "card": secret}})
    await index(api_client.storage)
    assert await found(api_client, "hidden4711") == []
    assert await found(api_client, "visible") == ["run"]

    await api_client.post("/agent_spans/run-0/discard_sensitive")
    await index(api_client.storage)
    assert await found(api_client, "visible") == ["run"]


async def test_a_result_is_found_once_it_is_indexed(api_client: Any) -> None:
    """Until a result is indexed, the answer says how far behind the index is."""
    await record(api_client, "run", {"payload": {"a": "question"}, "status": "active"})
    await index(api_client.storage)
    await api_client.post("/agent_spans/run-0/finish", {"result_payload": {"b": "answer"}})
    api_client.clock.leap(seconds=400 * 24 * 3600)

    stale = await api_client.get("/agent_instance", {"text": "answer"})
    await index(api_client.storage)
    fresh = await api_client.get("/agent_instance", {"text": "answer question"})

    assert (stale.summaries, stale.body["search"]["behind_seconds"] > 0) == ([], True)
    assert fresh.summaries[0]["id"] == "run"
    assert fresh.body["search"]["behind_seconds"] == 0


async def test_a_deployment_finds_its_own_runs(api_client: Any) -> None:
    """A deployment token finds nothing of other agents, whatever the query."""
    own = await record(api_client, "own", {"payload": {"a": "common"}}, agent="agent-own")
    await record(api_client, "foreign", {"payload": {"a": "common"}}, agent="agent-foreign")
    await index(api_client.storage)
    token, _ = await api_client.add_token(
        token_scope="agent_deployment",
        agent_id=own["agent_id"],
        environment_id=own["environment_id"],
        agent_deployment_id=own["agent_deployment_id"],
    )

    assert await found(api_client, "common") == ["foreign", "own"]
    assert await found(api_client, "common", token=token) == ["own"]


@pytest.mark.parametrize("text", ["", "!?", "x" * 201, " ".join(f"w{n}" for n in range(17))])
async def test_a_text_without_words_is_refused(api_client: Any, text: str) -> None:
    """A text has at least one word, and a bounded number of them."""
    for path in ("/agent_instance", "/agent_instance/facets"):
        refused = await api_client.get(path, {"text": text})
        assert "text" in refused.refused(422, "validation_errors")["errors"]
