"""Lists: pages, cursors, both spellings of an order, and refused parameters."""

from typing import Any

import pytest

from prefactor_server.api.kernel.openapi import openapi_document
from prefactor_server.api.kernel.operation import Read
from prefactor_server.api.operations import OPERATIONS

INVALID = (422, "validation_errors")
UNREADABLE = (400, "bad_request")
LISTS = ["/agent", "/agent_instance", "/agent_spans"]


async def _runs(api_client: Any, count: int) -> list[str]:
    return [(await api_client.register(f"run-{number}"))["id"] for number in range(count)]


def _numbers(pagination: Any) -> dict[str, Any]:
    return {name: value for name, value in pagination.items() if name != "next_after"}


@pytest.mark.parametrize(
    ("rows", "offset", "expected"),
    [
        (0, 0, (0, 0, 0, 0, 1, None, None)),
        (4, 0, (4, 1, 2, 2, 1, 2, None)),
        (4, 2, (4, 3, 4, 2, 2, None, 0)),
        (5, 2, (5, 3, 4, 3, 2, 4, 0)),
        (5, 4, (5, 5, 5, 3, 3, None, 2)),
        (5, 1, (5, 2, 3, 3, 1, 3, 0)),
        (3, 10, (3, 0, 0, 2, 6, None, 8)),
    ],
)
async def test_the_numbers_of_a_page(
    api_client: Any, rows: int, offset: int, expected: tuple[int | None, ...]
) -> None:
    """Empty lists, exact multiples, a last page and a page past the end have the right numbers."""
    await _runs(api_client, rows)
    query = {"pagination[offset]": str(offset), "pagination[page_size]": "2"}

    answer = await api_client.get("/agent_instance", query)

    names = (
        "item_count",
        "item_start",
        "item_end",
        "page_count",
        "page_index",
        "next_page_offset",
        "previous_page_offset",
    )
    assert _numbers(answer.body["pagination"]) == {
        **dict(zip(names, expected, strict=True)),
        "page_offset": offset,
        "page_size": 2,
        "item_count_is_exact": True,
    }
    assert len(answer.summaries) == max(0, min(2, rows - offset))


async def test_a_page_has_twenty_rows_by_default(api_client: Any) -> None:
    """The default size is 20, the largest 100, and the order is by id, oldest first."""
    runs = sorted(await _runs(api_client, 21))

    first = await api_client.get("/agent_instance")
    whole = await api_client.get("/agent_instance", {"pagination[page_size]": "100"})

    assert [row["id"] for row in first.summaries] == runs[:20]
    assert [row["id"] for row in whole.summaries] == runs
    assert first.body["sorting"] == {"field": "id", "direction": "asc"}


@pytest.mark.parametrize("sorting", ["id", "-id", "status", "-started_at", "started_at"])
async def test_a_walk_by_cursor_is_the_walk_by_offset(api_client: Any, sorting: str) -> None:
    """Paging by cursor and by offset returns the same rows in order, with the same numbers."""
    for number in range(7):
        await api_client.run("pending" if number % 3 else "active")
    query = {"sorting": sorting, "pagination[page_size]": "3"}
    by_offset, by_cursor = [], []
    offset: int | None = 0
    while offset is not None:
        page = (
            await api_client.get("/agent_instance", {**query, "pagination[offset]": f"{offset}"})
        ).body
        by_offset.append(page)
        offset = page["pagination"]["next_page_offset"]
    after: dict[str, str] | None = {}
    while after is not None:
        page = (await api_client.get("/agent_instance", {**query, **after})).body
        by_cursor.append(page)
        cursor = page["pagination"]["next_after"]
        after = None if cursor is None else {"pagination[after]": cursor}

    assert by_cursor == by_offset
    assert len({row["id"] for page in by_cursor for row in page["summaries"]}) == 7


async def test_a_cursor_is_stable_under_inserts(api_client: Any) -> None:
    """New rows shift offsets but not cursors: paging newest first continues where it stopped."""
    await _runs(api_client, 4)
    query = {"sorting": "-id", "pagination[page_size]": "2"}
    first = (await api_client.get("/agent_instance", query)).body
    await api_client.register("run-9")

    query["pagination[after]"] = first["pagination"]["next_after"]
    second = (await api_client.get("/agent_instance", query)).summaries

    assert [row["id"] for row in second] == ["run-1", "run-0"]


@pytest.mark.parametrize(
    ("query", "field", "direction"),
    [
        ({"sorting": "id"}, "id", "asc"),
        ({"sorting": "-id"}, "id", "desc"),
        ({"sorting[field]": "id"}, "id", "asc"),
        ({"sorting[field]": "id", "sorting[direction]": "asc"}, "id", "asc"),
        ({"sorting[field]": "id", "sorting[direction]": "desc"}, "id", "desc"),
        ({"sorting[direction]": "desc"}, "id", "desc"),
        ({"sorting": "-inserted_at"}, "inserted_at", "desc"),
    ],
)
async def test_both_spellings_of_an_order_are_honoured(
    api_client: Any, query: dict[str, str], field: str, direction: str
) -> None:
    """The bare and the structured form both sort, and the answer says which order applied."""
    runs = await _runs(api_client, 3)

    answer = await api_client.get("/agent_instance", query)

    assert answer.body["sorting"] == {"field": field, "direction": direction}
    expected = runs if direction == "asc" else runs[::-1]
    assert [row["id"] for row in answer.summaries] == expected


@pytest.mark.parametrize(
    ("query", "refusal", "said"),
    [
        ({"sorting": "colour"}, INVALID, "must be one of id"),
        ({"sorting[field]": "colour"}, INVALID, "must be one of id"),
        ({"sorting": "-"}, INVALID, "must be one of id"),
        ({"sorting[direction]": "up"}, INVALID, "must be asc or desc"),
        ({"sorting": "id", "sorting[field]": "id"}, UNREADABLE, "not both"),
        ({"pagination[page_size]": "0"}, INVALID, "from 1 to 100"),
        ({"pagination[page_size]": "101"}, INVALID, "from 1 to 100"),
        ({"pagination[page_size]": "ten"}, INVALID, "from 1 to 100"),
        ({"pagination[offset]": "-1"}, INVALID, "whole number"),
        ({"pagination[offset]": "9" * 30}, INVALID, "whole number"),
        ({"pagination[offset]": ""}, INVALID, "whole number"),
        ({"pagination[after]": "nonsense"}, INVALID, "not a cursor"),
        ({"pagination[after]": "W1tbW1tb" * 2000}, INVALID, "cursor"),
        ({"pagination[after]": "a", "pagination[offset]": "1"}, UNREADABLE, "not both"),
        ({"colour": "red"}, UNREADABLE, "'colour'; known here: "),
        ({"status ": "a\0"}, UNREADABLE, "NUL"),
    ],
)
async def test_unsupported_parameters_are_refused(
    api_client: Any, query: dict[str, str], refusal: tuple[int, str], said: str
) -> None:
    """An unknown, impossible or contradictory parameter is named, and never ignored."""
    for path in LISTS:
        answer = await api_client.get(
            path, {"agent_id": "a", **query} if path == "/agent_spans" else query
        )
        assert said in str(answer.refused(*refusal)), path


@pytest.mark.parametrize("path", LISTS)
async def test_harmless_parameters_are_accepted(api_client: Any, path: str) -> None:
    """Parameters without effect, such as unused flags and the caller's account, are accepted."""
    account_id = (await api_client.get("/ping")).details["account_id"]
    query = {"include_risk_score": "true", "include_counts": "maybe", "account_id": account_id}
    if path == "/agent_spans":
        query["agent_id"] = "agent-1"

    assert (await api_client.get(path, query)).summaries == []


async def test_another_account_is_refused(api_client: Any) -> None:
    """Asking for an account that the token does not belong to is not permitted."""
    answer = await api_client.get("/agent", {"account_id": "somebody-else"})

    answer.refused(403, "not_permitted")


async def test_a_duplicate_parameter_is_refused(api_client: Any) -> None:
    """A duplicate parameter is ambiguous, so it is refused by name."""
    answer = await api_client.get("/agent_instance?status=active&status=failed")

    assert "'status'" in answer.refused(400, "bad_request")["message"]


async def test_a_cursor_belongs_to_its_list(api_client: Any) -> None:
    """A cursor from a list with other filters or another order is refused."""
    await _runs(api_client, 3)
    query = {"pagination[page_size]": "2"}
    cursor = (await api_client.get("/agent_instance", query)).body["pagination"]["next_after"]

    for other in ({"sorting": "-id"}, {"status": "pending"}):
        answer = await api_client.get(
            "/agent_instance", {**query, **other, "pagination[after]": cursor}
        )
        assert "another order" in str(answer.refused(422, "validation_errors"))


async def test_every_documented_order_works(api_client: Any) -> None:
    """Each documented sort value is accepted by its list."""
    paths = openapi_document(OPERATIONS)["paths"]
    lists = [one for one in OPERATIONS if isinstance(one, Read) and one.name.endswith(".list")]
    for operation in lists:
        described = {one["name"]: one for one in paths[operation.path]["get"]["parameters"]}
        agent_filter = {"agent_id": "agent-1"} if "agent_id" in described else {}
        for value in described["sorting"]["schema"]["enum"]:
            path = operation.path.removeprefix("/api/v1")
            answer = await api_client.get(path, {"sorting": value, **agent_filter})
            assert answer.body["sorting"]["field"] == value.removeprefix("-"), path
