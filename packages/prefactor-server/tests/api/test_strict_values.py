"""Numbers, times, flags, cursors, ids and tokens are accepted in their documented form only.

Other forms that a library's parser accepts (a NUL after a time, digits of other scripts, white
space) would be stored as something that the sender did not mean.
"""

import asyncio
import http.client
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from api_client import TOKEN

INVALID = (422, "validation_errors")

ODD_TIMES = [
    "2020-01-01T00:00:00\0",
    "2020-01-01T00:00:00Z\n",
    " 2020-01-01T00:00:00Z",
    "2020-01-01\x0000:00:00",
    "2020-01-01X00:00:00",
    "2020-01-01T00:00:00 01:00",
    "\uff12020-01-01T00:00:00",
    "1e9",
    "2016-12-31T23:59:60Z",
]
ODD_NUMBERS = [
    "1_0",
    "+5",
    " 5",
    "5 ",
    "5\n",
    "\u0665",
    "\uff15",
    "1e1",
    "5.0",
    "0x5",
    "inf",
    "-1",
    "",
]
ODD_FLAGS = ["True ", " true", "TRUE", "yes", "t", "true\n", "01", ""]


@pytest.mark.parametrize("text", ODD_TIMES)
async def test_a_time_in_a_body(api_client: Any, text: str) -> None:
    """Every operation that takes a time refuses extra characters around it, and leap seconds."""
    run = await api_client.run("pending")
    span = {"agent_instance_id": run["id"], "schema_name": "step"}
    token = {"token_scope": "account"}
    for path, body in [
        (f"/agent_instance/{run['id']}/start", {"timestamp": text}),
        (f"/agent_instance/{run['id']}/finish", {"status": "cancelled", "timestamp": text}),
        ("/agent_spans", {"details": {**span, "started_at": text}}),
        ("/agent_spans", {"details": {**span, "status": "complete", "finished_at": text}}),
        ("/api_token", {"details": {**token, "expires_at": text}}),
    ]:
        (await api_client.post(path, body)).refused(*INVALID)

    assert (await api_client.get(f"/agent_instance/{run['id']}")).details["status"] == "pending"


async def test_a_time_in_a_query_has_no_extra_characters(api_client: Any) -> None:
    """A filter by time refuses them too, and the message says how to write an offset."""
    for text in ODD_TIMES:
        answer = await api_client.get("/agent_instance", {"started_after": text})
        assert answer.status in (400, 422), text

    spaced = await api_client.get("/agent_instance", {"started_after": "2020-01-01T00:00:00 01:00"})
    assert "%2B" in spaced.body["message"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/agent_instance", "pagination[page_size]"),
        ("/agent", "pagination[offset]"),
        ("/alerts/count", "window_days"),
    ],
)
async def test_a_number_in_a_query_is_plain_digits(api_client: Any, path: str, name: str) -> None:
    """Only ASCII digits are a number."""
    assert (await api_client.get(path, {name: "5"})).status == 200
    for text in ODD_NUMBERS:
        (await api_client.get(path, {name: text})).refused(*INVALID)


async def test_a_flag_in_a_query_is_true_or_false(api_client: Any) -> None:
    """A flag is true, false, 1 or 0, and no look-alike."""
    for text in ODD_FLAGS:
        (await api_client.get("/agent_spans", {"include_risk_level": text})).refused(*INVALID)


async def test_bulk_items_are_just_as_strict(api_client: Any) -> None:
    """A bulk item's parameter has no NUL, is given once, and a number has only plain digits."""
    for parameters, code in [
        ({"pagination[page_size]": "1_0"}, "validation_errors"),
        ({"pagination": {"page_size": 2.5}}, "validation_errors"),
        ({"pagination": {"page_size": 2}, "pagination[page_size]": 3}, "bad_request"),
        ({"agent_id": "agent\0"}, "bad_request"),
    ]:
        item = {"_type": "agent_instances/list", "idempotency_key": "list-0001", **parameters}
        outputs = (await api_client.post("/bulk", {"items": [item]})).body["outputs"]
        assert outputs["list-0001"]["code"] == code, parameters


@pytest.mark.parametrize("change", ["{}\n", "\n{}", "{}=", "{}!", "{}\0", " {}", "{}AA", "{}{}"])
async def test_a_cursor_has_no_extra_characters(api_client: Any, change: str) -> None:
    """A cursor with extra characters is refused; the server's own cursor works."""
    for number in range(3):
        await api_client.register(f"run-{number}")
    page = {"pagination[page_size]": "1"}
    after = (await api_client.get("/agent_instance", page)).body["pagination"]["next_after"]
    middle = len(after) // 2

    for text in (change.format(after, after), f"{after[:middle]}\n{after[middle:]}"):
        answer = await api_client.get("/agent_instance", {**page, "pagination[after]": text})
        assert answer.status in (400, 422), text
    followed = await api_client.get("/agent_instance", {**page, "pagination[after]": after})
    assert [one["id"] for one in followed.summaries] == ["run-1"]


async def test_an_id_in_a_path_must_be_utf8(api_client: Any) -> None:
    """An id with bytes that are not UTF-8 matches no agent."""
    await api_client.post(
        "/agent", {"details": {"name": "odd", "external_identifier": "odd-\ufffd"}}
    )
    address = urlsplit(api_client.url).netloc

    def status(path_id: str) -> int:
        connection = http.client.HTTPConnection(address, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            connection.request("GET", f"/api/v1/agent/{path_id}", headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    assert await asyncio.to_thread(status, quote("odd-\ufffd")) == 200
    assert await asyncio.to_thread(status, "odd-%FF") == 400


@pytest.mark.parametrize("blank", ["\x85", "\xa0", "\x1f", "\x0b"])
async def test_a_token_has_no_white_space(api_client: Any, blank: str) -> None:
    """White space that only Python recognises is part of the token, or an invalid header."""
    connection = http.client.HTTPConnection(urlsplit(api_client.url).netloc, timeout=60)

    def status(value: str) -> int:
        try:
            connection.putrequest("GET", "/api/v1/ping")
            connection.putheader("Authorization", value.encode("latin-1"))
            connection.endheaders()
            return connection.getresponse().status
        finally:
            connection.close()

    assert await asyncio.to_thread(status, f"Bearer {TOKEN}{blank}") in (400, 401)
    assert await asyncio.to_thread(status, f"Bearer \t {TOKEN} ") == 200
