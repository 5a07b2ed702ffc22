"""Agents found by words through the API."""

from typing import Any

import pytest


async def _create(api_client: Any, **fields: Any) -> Any:
    return (await api_client.post("/agent", {"details": {"name": "A", **fields}})).details


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("clerk", ["Invoice clerk", "Night clerk"]),
        ("CLERK inv", ["Invoice clerk"]),
        ("ledger", ["Invoice clerk"]),
        ("bill-7", ["Night clerk"]),
        ("ärzte", ["ÄRZTE 100%", "Ärzte_a"]),
        ("ÄRZTE", ["ÄRZTE 100%", "Ärzte_a"]),
        ("0%", ["ÄRZTE 100%"]),
        ("e_a", ["Ärzte_a"]),
        ("!", []),
        ("night-1", ["Night clerk"]),
        ("night-", []),
        ("  ", ["Invoice clerk", "Night clerk", "ÄRZTE 100%", "Ärzte_a"]),
    ],
)
async def test_agents_are_found_by_words(api_client: Any, text: str, found: list[str]) -> None:
    """All words are in a name, description or external identifier, or one is the whole id."""
    await _create(api_client, name="Invoice clerk", description="Keeps the Ledger")
    await _create(api_client, name="Night clerk", external_identifier="BILL-7", id="night-1")
    await _create(api_client, name="ÄRZTE 100%")
    await _create(api_client, name="Ärzte_a")

    listed = await api_client.get("/agent", {"text": text, "sorting": "name"})

    assert [one["name"] for one in listed.summaries] == found
    assert listed.body["pagination"]["item_count"] == len(found)


@pytest.mark.parametrize("text", ["a" * 201, "a b c d e f g h i j k l m n o p q"])
async def test_a_search_for_agents_is_bounded(api_client: Any, text: str) -> None:
    """A text of too many characters or words is refused."""
    answer = await api_client.get("/agent", {"text": text})

    errors = answer.refused(422, "validation_errors")["errors"]
    assert errors["text"]["code"] == "invalid_value"


async def test_pages_of_found_agents(api_client: Any) -> None:
    """A cursor goes on with the same words only."""
    for number in range(3):
        await _create(api_client, name=f"clerk {number}")
    await _create(api_client, name="other")

    query = {"text": "clerk", "sorting": "-name", "pagination[page_size]": "2"}
    first = await api_client.get("/agent", query)
    after = first.body["pagination"]["next_after"]
    rest = await api_client.get("/agent", {**query, "pagination[after]": after})
    other = await api_client.get("/agent", {**query, "text": "o", "pagination[after]": after})

    names = [one["name"] for page in (first, rest) for one in page.summaries]
    assert names == ["clerk 2", "clerk 1", "clerk 0"]
    other.refused(422, "validation_errors")
