"""Risk profiles through the API."""

from typing import Any

import pytest

FIELDS: dict[str, Any] = {
    "name": "Customer data",
    "category_weights": {
        "personal_identifiers": {"weight": 8, "included": True},
        "contact_information": 4,
        "minors_data": {"weight": 10, "included": False},
    },
    "action_multipliers": {"destroy_data": 3},
    "thresholds": {"medium": 0, "high": 30, "critical": 60},
    "agreed_risk": "medium",
}


async def _create(api_client: Any, **fields: Any) -> Any:
    return (await api_client.post("/risk_profile", {"details": {**FIELDS, **fields}})).details


async def test_a_profile_is_created_and_shown(api_client: Any) -> None:
    """A new profile has every category and action, and the formula's version."""
    created = await _create(api_client, description="D", id="mine")

    assert created["type"] == "risk_profile"
    assert (created["id"], created["name"], created["description"]) == ("mine", FIELDS["name"], "D")
    assert len(created["category_weights"]) == 17
    assert created["category_weights"]["contact_information"] == {"weight": 4.0, "included": True}
    assert created["category_weights"]["minors_data"] == {"weight": 10.0, "included": False}
    assert created["category_weights"]["criminal_justice"] == {"weight": 0.0, "included": True}
    assert created["action_multipliers"]["destroy_data"] == 3
    assert created["action_multipliers"]["read_data"] == 1
    assert created["thresholds"] == {"medium": 0, "high": 30, "critical": 60}
    assert (created["agreed_risk"], created["formula_version"]) == ("medium", 1)
    assert (await api_client.get("/risk_profile/mine")).details == created


async def test_profiles_are_listed(api_client: Any) -> None:
    """The list pages and sorts in both spellings, and accepts the account that clients send."""
    made = [await _create(api_client, name=name) for name in ("B", "C", "A")]

    by_id = await api_client.get("/risk_profile", {"account_id": made[0]["account_id"]})
    newest = await api_client.get(
        "/risk_profile", {"sorting[field]": "id", "sorting[direction]": "desc"}
    )
    named = await api_client.get("/risk_profile", {"sorting": "name", "pagination[page_size]": "2"})
    after = named.body["pagination"]["next_after"]
    rest = await api_client.get("/risk_profile", {"sorting": "name", "pagination[after]": after})

    assert by_id.summaries == made
    assert newest.summaries == made[::-1]
    assert [row["name"] for row in named.summaries + rest.summaries] == ["A", "B", "C"]


async def test_an_update_changes_the_given_fields(api_client: Any) -> None:
    """Missing fields are unchanged, weights are replaced whole, and null clears the description."""
    created = await _create(api_client, description="D")
    path = f"/risk_profile/{created['id']}"

    renamed = (await api_client.call("PUT", path, {"details": {"name": "New"}})).details
    body = {
        "description": None,
        "category_weights": {"minors_data": 1},
        "action_multipliers": {"read_data": 2},
        "thresholds": {"high": 1, "critical": 2},
        "agreed_risk": None,
    }
    changed = (await api_client.call("PUT", path, {"details": body})).details

    later = {"name": "New", "updated_at": renamed["updated_at"]}
    assert renamed == {**created, **later}
    assert (changed["name"], changed["description"], changed["agreed_risk"]) == ("New", None, None)
    assert changed["category_weights"]["personal_identifiers"]["weight"] == 0
    assert changed["action_multipliers"]["destroy_data"] == 1
    assert changed["thresholds"] == {"medium": 0, "high": 1, "critical": 2}
    assert (await api_client.get(path)).details == changed


async def test_a_change_is_refused_if_another_came_first(api_client: Any) -> None:
    """A change that names an older state changes nothing, and every state has its own time."""
    created = await _create(api_client, id="mine")
    based = {"previous_updated_at": created["updated_at"]}

    async def change(**fields: Any) -> Any:
        return await api_client.call("PUT", "/risk_profile/mine", {"details": fields})

    first = await change(name="First", **based)
    second = await change(name="Second", **based)

    assert "read it again" in second.refused(409, "invalid_action")["message"]
    assert (await api_client.get("/risk_profile/mine")).details == first.details
    assert first.details["updated_at"] > created["updated_at"]
    third = await change(name="Third", previous_updated_at=first.details["updated_at"])
    assert third.details["name"] == "Third"
    assert (await change(name="Fourth")).details["name"] == "Fourth"


async def test_a_deleted_profile_is_gone(api_client: Any) -> None:
    """A deleted profile can no longer be shown, listed, changed or deleted."""
    created = await _create(api_client)
    path = f"/risk_profile/{created['id']}"

    deleted = (await api_client.call("DELETE", path)).details

    assert deleted["id"] == created["id"]
    assert (await api_client.get("/risk_profile")).summaries == []
    for method in ("GET", "PUT", "DELETE"):
        body = {"details": {"name": "N"}} if method == "PUT" else None
        (await api_client.call(method, path, body)).refused(404, "not_found")
    taken = await api_client.post("/risk_profile", {"details": {**FIELDS, "id": created["id"]}})
    taken.refused(409, "invalid_action")


async def test_every_write_happens_once_for_its_key(api_client: Any) -> None:
    """With a repeated key, creating, changing and deleting happen once and answer the same."""
    key = {"Idempotency-Key": "k"}
    body = {"details": FIELDS}
    first, again = [await api_client.post("/risk_profile", body, headers=key) for _ in range(2)]
    path = f"/risk_profile/{first.details['id']}"
    change = {"details": {"name": "New"}, "idempotency_key": "k"}
    put, put_again = [await api_client.call("PUT", path, change) for _ in range(2)]
    delete, delete_again = [await api_client.call("DELETE", path, headers=key) for _ in range(2)]

    assert [one.replayed for one in (first, put, delete)] == [False] * 3
    assert [one.replayed for one in (again, put_again, delete_again)] == [True] * 3
    assert again.details == first.details
    assert put_again.details == put.details
    assert delete_again.details == delete.details
    other = await api_client.post("/risk_profile", {"details": {"name": "Other"}}, headers=key)
    other.refused(409, "idempotency_key_already_used")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "N", "category_weights": {"odd": 1}}, "category_weights"),
        ({"name": "N", "category_weights": {"minors_data": 11}}, "category_weights"),
        ({"name": "N", "category_weights": {"minors_data": {"weight": -1}}}, "category_weights"),
        ({"name": "N", "action_multipliers": {"read_data": 0.5}}, "action_multipliers"),
        ({"name": "N", "action_multipliers": {"read": 2}}, "action_multipliers"),
        ({"name": "N", "thresholds": {"medium": 70}}, "thresholds"),
        ({"name": "N", "thresholds": {"medium": -1}}, "thresholds"),
        ({"name": "N", "agreed_risk": "huge"}, "agreed_risk"),
        ({"name": "N", "agreed_risk": "low", "agreed_data_risk": "high"}, "agreed_data_risk"),
        ({"name": "N", "ruleset": {"category_weights": {"odd": None}}}, "ruleset"),
        ({"name": "N", "ruleset": {"action_multipliers": {"read_data": 0}}}, "ruleset"),
        ({"name": "N", "ruleset": {"thresholds": {"medium": 70}}}, "ruleset"),
        ({"name": "N", "thresholds": {}, "ruleset": {"thresholds": {"high": 60}}}, "thresholds"),
    ],
)
async def test_errors_of_a_profile_are_named(
    api_client: Any, fields: dict[str, Any], wrong: str
) -> None:
    """An invalid profile is refused, and the error names the field."""
    refused = await api_client.post("/risk_profile", {"details": fields})

    assert list(refused.refused(422, "validation_errors")["errors"]["details"]) == [wrong]


async def test_profiles_are_for_account_tokens(api_client: Any) -> None:
    """A deployment token neither reads nor writes profiles."""
    created = await _create(api_client)
    token = await api_client.deployment_token(await api_client.run())
    path = f"/risk_profile/{created['id']}"

    for answer in (
        await api_client.get("/risk_profile", token=token),
        await api_client.get(path, token=token),
        await api_client.post("/risk_profile", {"details": FIELDS}, token=token),
        await api_client.call("PUT", path, {"details": FIELDS}, token=token),
        await api_client.call("DELETE", path, token=token),
    ):
        answer.refused(403, "not_permitted")


async def test_a_bulk_request_makes_and_changes_a_profile(api_client: Any) -> None:
    """In bulk, profiles are created, changed, listed and deleted."""
    of = {"risk_profile_id": "mine"}
    items = [
        {"_type": "risk_profiles/create", "idempotency_key": "key-0001", **FIELDS, "id": "mine"},
        {"_type": "risk_profiles/update", "idempotency_key": "key-0002", **of, "name": "New"},
        {"_type": "risk_profiles/show", "idempotency_key": "key-0003", **of},
        {"_type": "risk_profiles/list", "idempotency_key": "key-0004"},
        {"_type": "risk_profiles/delete", "idempotency_key": "key-0005", **of},
    ]

    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert [outputs[item["idempotency_key"]]["status"] for item in items] == ["success"] * 5
    assert outputs["key-0003"]["details"]["name"] == "New"
    assert outputs["key-0004"]["summaries"] == [outputs["key-0003"]["details"]]


async def test_changes_to_profiles_are_in_the_audit_log(api_client: Any) -> None:
    """Creating, changing and deleting a profile are logged with the actor."""
    created = await _create(api_client)
    path = f"/risk_profile/{created['id']}"
    await api_client.call("PUT", path, {"details": {"name": "New"}})
    await api_client.call("DELETE", path)

    found = await api_client.rows(
        "SELECT action, detail FROM audit_entry WHERE resource_id = ? ORDER BY at", created["id"]
    )

    assert found == [
        ("risk_profiles.create", "Customer data"),
        ("risk_profiles.update", "New"),
        ("risk_profiles.delete", "New"),
    ]


async def test_an_agent_takes_only_an_existing_profile(api_client: Any) -> None:
    """An unknown or deleted profile is refused by its field; the agent's current one may stay."""
    mine, gone = await _create(api_client), await _create(api_client)
    await api_client.call("DELETE", f"/risk_profile/{gone['id']}")

    for unknown in (gone["id"], "nobody", "nobody's; \N{SNOWMAN}"):
        fields = {"name": "A", "id": "a", "risk_profile_id": unknown}
        body = (await api_client.post("/agent", {"details": fields})).refused(
            422, "validation_errors"
        )
        assert body["errors"]["details"]["risk_profile_id"]["code"] == "invalid_value"
    agent = {"name": "A", "id": "a", "risk_profile_id": mine["id"]}
    created = (await api_client.post("/agent", {"details": agent})).details
    other = {"details": {"risk_profile_id": gone["id"]}}
    changed = (await api_client.call("PUT", "/agent/a", other)).refused(422, "validation_errors")
    await api_client.call("DELETE", f"/risk_profile/{mine['id']}")
    kept = await api_client.call("PUT", "/agent/a", {"details": {**agent, "name": "B"}})

    assert created["risk_profile_id"] == mine["id"]
    assert changed["errors"]["details"]["risk_profile_id"]["code"] == "invalid_value"
    assert (kept.details["name"], kept.details["risk_profile_id"]) == ("B", mine["id"])


async def test_an_agent_takes_a_profile_of_the_same_request(api_client: Any) -> None:
    """In bulk, an agent may take the profile of an earlier item, but not of a later one."""
    agent = {"_type": "agents/create", "name": "A", "risk_profile_id": "mine"}
    profile = {"_type": "risk_profiles/create", "name": "P", "id": "mine"}
    items = [{**profile, "idempotency_key": "key-0001"}, {**agent, "idempotency_key": "key-0002"}]

    early = await api_client.post("/bulk", {"items": items[1:]})
    outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

    assert early.body["outputs"]["key-0002"]["code"] == "validation_errors"
    assert outputs["key-0002"]["details"]["risk_profile_id"] == "mine"
