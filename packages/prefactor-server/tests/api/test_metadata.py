"""Metadata of runs: set at registration or later, shown, and filtered by."""

from typing import Any

import pytest

USER = {"user": "u-81", "release": "2026-04"}


async def _set(api_client: Any, run: Any, changes: Any, **more: Any) -> Any:
    body = {"metadata": changes, **more}
    return await api_client.call("PUT", f"/agent_instance/{run['id']}/metadata", body)


async def _found(api_client: Any, token: str | None = None, **query: str) -> list[str]:
    labels = {f"metadata[{key}]": text for key, text in query.items()}
    return [
        one["id"]
        for one in (await api_client.get("/agent_instance", labels, token=token)).summaries
    ]


async def test_metadata_is_shown_wherever_its_run_is(api_client: Any) -> None:
    """A registration's metadata is in its answer, in lists, exports and answers to writes."""
    run = await api_client.register(metadata=USER)
    path = f"/agent_instance/{run['id']}"
    plain = await api_client.register()

    assert run["metadata"] == USER
    assert plain["metadata"] == {}
    assert (await api_client.get(path)).details["metadata"] == USER
    assert (await api_client.post(f"{path}/start")).details["metadata"] == USER
    judged = await api_client.post(f"{path}/record_quality", {"name": "q", "payload": {}})
    assert judged.details["metadata"] == USER
    listed = (await api_client.get("/agent_instance")).summaries
    assert [one["metadata"] for one in listed] == [USER, {}]
    context = (await api_client.get(f"{path}/agent_context")).body["agent_context"]["body"]
    assert context["agent_instance"]["metadata"] == USER


@pytest.mark.parametrize("status", ["pending", "complete", "terminated"])
async def test_metadata_changes_key_by_key(api_client: Any, status: str) -> None:
    """In every status, named keys are set, null removes a key, and the others stay."""
    run = await api_client.run(status, metadata=USER)

    changed = await _set(api_client, run, {"release": None, "experiment": "b", "gone": None})
    again = await _set(api_client, run, {"experiment": "b"})

    texts = {"user": "u-81", "experiment": "b"}
    assert changed.details["metadata"] == texts
    assert changed.details["updated_at"] > run["updated_at"]
    # Nothing changed, so nothing was written.
    assert again.details == changed.details
    assert (await api_client.get(f"/agent_instance/{run['id']}")).details["metadata"] == texts
    assert await _found(api_client, release="2026-04") == []
    assert await _found(api_client, experiment="b") == [run["id"]]


async def test_a_repeat_returns_the_current_metadata(api_client: Any) -> None:
    """A repeated request changes nothing; another request under its key is refused."""
    run = await api_client.register()
    await _set(api_client, run, {"a": "1"}, idempotency_key="key-1")
    await _set(api_client, run, {"a": "2"})

    repeated = await _set(api_client, run, {"a": "1"}, idempotency_key="key-1")
    other = await _set(api_client, run, {"a": "3"}, idempotency_key="key-1")

    assert repeated.replayed
    assert repeated.details["metadata"] == {"a": "2"}
    other.refused(409, "idempotency_key_already_used")


async def test_lists_find_runs_by_all_of_the_metadata(api_client: Any) -> None:
    """Several keys narrow a list together, on every page, with any characters in them."""
    odd = "a]b[ü'%"
    runs = [
        await api_client.register(metadata={"half": str(number % 2), odd: str(number // 2)})
        for number in range(4)
    ]
    ids = [one["id"] for one in runs]

    assert await _found(api_client, half="1") == ids[1::2]
    assert await _found(api_client, **{"half": "1", odd: "1"}) == [ids[3]]
    assert await _found(api_client, half="2") == await _found(api_client, other="1") == []
    query = {"metadata[half]": "0", "pagination[page_size]": "1"}
    first = await api_client.get("/agent_instance", query)
    after = first.body["pagination"]["next_after"]
    second = await api_client.get("/agent_instance", {**query, "pagination[after]": after})
    assert [one["id"] for one in first.summaries + second.summaries] == ids[::2]
    assert first.body["pagination"]["item_count"] == 2
    moved = await api_client.get(
        "/agent_instance", {"metadata[half]": "1", "pagination[after]": after}
    )
    moved.refused(422, "validation_errors")


async def test_a_deployment_finds_and_changes_its_own_runs_only(api_client: Any) -> None:
    """A deployment token neither finds nor labels runs of another agent."""
    own = await api_client.register(metadata=USER)
    other = await api_client.register(agent_id="agent-2", metadata=USER)
    token = await api_client.deployment_token(own)

    assert await _found(api_client, token, user="u-81") == [own["id"]]
    body = {"metadata": {"a": "b"}}
    mine = await api_client.call("PUT", f"/agent_instance/{own['id']}/metadata", body, token=token)
    theirs = await api_client.call(
        "PUT", f"/agent_instance/{other['id']}/metadata", body, token=token
    )
    assert mine.details["metadata"] == {**USER, "a": "b"}
    theirs.refused(404, "not_found")


LONG = "k" * 65
WRONG: list[tuple[Any, list[str]]] = [
    ({"": "a"}, ["metadata", ""]),
    ({LONG: "a"}, ["metadata", LONG]),
    ({"a": "v" * 257}, ["metadata", "a"]),
    ({"a": ""}, ["metadata", "a"]),
    ({"a": 5}, ["metadata", "a"]),
    ({"a": {"b": "c"}}, ["metadata", "a"]),
    ({"a": "b\0"}, ["metadata", "a"]),
    ({str(number): "a" for number in range(33)}, ["metadata"]),
    ([], ["metadata"]),
    ("a", ["metadata"]),
]


@pytest.mark.parametrize(("metadata", "place"), WRONG, ids=range(len(WRONG)))
async def test_invalid_metadata_names_the_key(api_client: Any, metadata: Any, place: Any) -> None:
    """The error names the wrong key, and nothing is registered or changed."""
    run = await api_client.register(metadata=USER)

    changed = await _set(api_client, run, metadata)
    registered = await api_client.post(
        "/agent_instance/register", {"agent_id": "a", "metadata": metadata}
    )

    for answer in (changed, registered):
        errors = answer.refused(422, "validation_errors")["errors"]
        for name in place:
            errors = errors[name]
        assert errors["code"] == "invalid_value"
        assert errors["message"].startswith("must")
    (only,) = (await api_client.get("/agent_instance")).summaries
    assert only["metadata"] == USER


async def test_a_run_has_sixteen_keys(api_client: Any) -> None:
    """Sixteen of the longest keys and values fit; one more is refused with the current number."""
    most = {f"{number:02}" + "ü" * 62: "日" * 256 for number in range(16)}
    run = await api_client.register(metadata=most)
    first = next(iter(most))

    assert run["metadata"] == most
    refused = (await _set(api_client, run, {"one-more": "a"})).refused(422, "validation_errors")
    assert (refused["limit"], refused["limit_of"]) == (16, "metadata_keys")
    assert "this one has 16" in refused["errors"]["metadata"]["message"]
    assert (await _set(api_client, run, {"one-more": "a", first: None})).status == 200
    assert await _found(api_client, **{first: most[first]}) == []
    assert await _found(api_client, **{list(most)[-1]: "日" * 256}) == [run["id"]]


@pytest.mark.parametrize(
    "query", ["metadata=a", "metadata[=a", "metadatax[a]=b", "metadata[a]=1&metadata[a]=2"]
)
async def test_misspelt_filters_are_refused(api_client: Any, query: str) -> None:
    """A filter that would be ignored is refused, and so is the same key twice."""
    (await api_client.get(f"/agent_instance?{query}")).refused(400, "bad_request")


async def test_metadata_is_set_in_bulk(api_client: Any) -> None:
    """Metadata is set item by item, in order, and read afterwards."""
    item = {"_type": "agent_instances/set_metadata", "agent_instance_id": "run-1"}
    items = [
        {
            "_type": "agent_instances/register",
            "idempotency_key": "register-1",
            "id": "run-1",
            "agent_id": "a",
            "metadata": USER,
        },
        {**item, "idempotency_key": "metadata-1", "metadata": {"user": None}},
        {**item, "idempotency_key": "metadata-2", "details": {"metadata": {"a": "b"}}},
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert all("metadata" not in one["details"] for one in outputs.values())
    assert (await api_client.get("/agent_instance/run-1")).details["metadata"] == {
        "release": "2026-04",
        "a": "b",
    }


async def test_older_fingerprints_still_match(api_client: Any) -> None:
    """A request without metadata has the fingerprint that older servers stored."""
    body = {"agent_id": "a", "id": "run-1", "idempotency_key": "key-1"}
    await api_client.post("/agent_instance/register", body)
    (before,) = await api_client.rows("SELECT fingerprint FROM idempotency_key")
    assert bytes(before[0]).hex() == "82ad855b1f278076ff7479ff47d1c436"


async def test_facets_count_the_texts_of_each_key(api_client: Any) -> None:
    """Each key is counted as if its own filter were not set, over the runs that the caller sees."""
    for user, release in (("u-1", "a"), ("u-1", "b"), ("u-2", "a")):
        await api_client.register(metadata={"user": user, "release": release})
    await api_client.register(agent_id="agent-other", metadata={"team": "billing"})

    every = (await api_client.get("/agent_instance/facets")).details["metadata"]
    query = {"metadata[user]": "u-1"}
    one = (await api_client.get("/agent_instance/facets", query)).details["metadata"]

    users = {"values": [{"value": "u-1", "count": 2}, {"value": "u-2", "count": 1}], "more": 0}
    assert list(every["keys"]) == ["release", "user", "team"]
    assert (every["keys"]["user"], every["more"]) == (users, 0)
    assert one["keys"]["user"] == users
    assert one["keys"]["release"]["values"] == [
        {"value": "a", "count": 1},
        {"value": "b", "count": 1},
    ]
    assert "team" not in one["keys"]


async def test_facets_list_the_most_frequent_texts_and_keys(api_client: Any) -> None:
    """20 texts of a key and 20 keys are listed, and the rest is counted."""
    for number in range(25):
        await api_client.register(metadata={"user": f"u-{number:02}", f"key-{number:02}": "x"})

    found = (await api_client.get("/agent_instance/facets")).details["metadata"]

    assert list(found["keys"])[:2] == ["user", "key-00"]
    assert (len(found["keys"]), found["more"]) == (20, 6)
    assert (len(found["keys"]["user"]["values"]), found["keys"]["user"]["more"]) == (20, 5)
