"""Hostile requests: each gets a clear answer, and none is a 5xx."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from yarl import URL

from prefactor_server.api import Limits

DEEP = 160


def _nested(levels: int) -> str:
    """Return nested objects of the given depth."""
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


async def _span(api_client: Any, payload: str) -> Any:
    body = f'{{"details":{{"agent_instance_id":"run-1","schema_name":"s","payload":{payload}}}}}'
    return await api_client.post("/agent_spans", body)


@pytest.mark.parametrize(
    "payload",
    [
        '{"a": 1e400}',
        '{"a": -1e400}',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": "\\ud800"}',
        '{"\\udc00": 1}',
        '{"a": "\x01"}',
        "{'a': 1}",
        '{"a": 1,}',
        '{"a": 01}',
        '{"a": "\\x"}',
        '{"a": 1} {}',
        "{" * 5000,
    ],
)
async def test_invalid_json_is_refused(api_client: Any, payload: str) -> None:
    """Numbers out of range, lone surrogates and broken syntax get a 400 with a clear message."""
    await api_client.register("run-1")

    answer = await _span(api_client, payload)

    assert "body" in answer.refused(400, "bad_request")["message"]


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"a": "\\u0000"}', {"a": "\0"}),
        ('{"": {"": []}}', {"": {"": []}}),
        ('{"a": 1e-400}', {"a": 0.0}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        ('{"__proto__": {"x": 1}}', {"__proto__": {"x": 1}}),
    ],
)
async def test_unusual_json_is_kept(api_client: Any, payload: str, read: Any) -> None:
    """Large numbers, repeated keys, NULs and empty names are stored and read back."""
    await api_client.register("run-1")

    span = (await _span(api_client, payload)).details

    assert span["payload"] == read
    assert (await api_client.get(f"/agent_spans/{span['id']}")).details == span


@pytest.mark.parametrize("body", [b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"details":{"name":"\xff"}}'])
async def test_invalid_utf8_is_refused(api_client: Any, body: bytes) -> None:
    """Bytes of another encoding are answered 400, not guessed at."""
    (await api_client.post("/agent", body)).refused(400, "bad_request")


@pytest.mark.parametrize("key", ["schema_name", "payload"])
async def test_invalid_utf8_is_found_in_bulk_items(api_client: Any, key: str) -> None:
    """Invalid bytes are refused inside the last item of a bulk request too."""
    await api_client.register("run-1")
    item = json.dumps(
        {
            "_type": "agent_spans/create",
            "idempotency_key": "key-0001",
            "agent_instance_id": "run-1",
            "schema_name": "X",
            "payload": {"a": "X"},
        }
    )
    before, _, after = item.partition(f'"{key}"')
    body = f'{{"items":[{before}"{key}"'.encode() + after.encode().replace(b"X", b"\xff") + b"]}"

    answer = await api_client.post("/bulk", body)

    if answer.status == 200:
        assert answer.body["outputs"]["key-0001"]["code"] == "bad_request"
    else:
        answer.refused(400, "bad_request")


async def test_depth_is_limited_and_counted_exactly(api_client: Any) -> None:
    """A request may be nested 160 levels deep; brackets inside texts do not count."""
    await api_client.register("run-1")
    brackets = json.dumps({"a": '[{"\\' * 200, "b": "]}" * 200})

    inside = await _span(api_client, _nested(DEEP - 1))
    beyond = await _span(api_client, _nested(DEEP))
    lists = await _span(api_client, '{"a":' + "[" * 900 + "]" * 900 + "}")
    texts = await _span(api_client, brackets)
    wide = await _span(api_client, '{"a":[' + ",".join(["{}"] * 500) + "]}")

    assert inside.status == texts.status == wide.status == 200
    for answer in (beyond, lists):
        assert f"{DEEP} levels" in answer.refused(400, "bad_request")["message"]


async def test_depth_is_limited_in_bulk_too(api_client: Any) -> None:
    """An item that is nested too deeply fails alone, and far too deep a request fails whole."""
    await api_client.register("run-1")
    item = (
        '{"_type":"agent_spans/create","idempotency_key":"key-0001","agent_instance_id":"run-1",'
        '"schema_name":"s","payload":%s}'
    )

    answer = await api_client.post("/bulk", '{"items":[%s]}' % (item % _nested(DEEP)))
    hopeless = await api_client.post("/bulk", '{"items":[%s]}' % (item % _nested(50_000)))

    assert f"{DEEP} levels" in answer.body["outputs"]["key-0001"]["message"]
    hopeless.refused(400, "bad_request")


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", "a%00b", "../../etc/passwd", "<script>", "{{ 7 * 7 }}", "\U0001f600"]
)
async def test_texts_are_taken_literally(api_client: Any, text: str) -> None:
    """Any name is stored, shown and searched for literally."""
    run = await api_client.register(agent_id=text, external_identifier=text)

    found = (await api_client.get("/agent_instance", {"external_identifier": text})).summaries
    agent = (await api_client.get("/agent/show", {"external_identifier": text})).details

    assert [row["id"] for row in found] == [run["id"]]
    assert agent["name"] == text


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/xml", "nonsense"])
async def test_the_content_type_does_not_matter(api_client: Any, content_type: str) -> None:
    """Every body is parsed as JSON, because some clients send no content type."""
    answer = await api_client.post(
        "/agent", {"details": {"name": "A"}}, headers={"Content-Type": content_type}
    )

    assert answer.status == 200


async def test_an_invalid_query_string_is_refused(api_client: Any) -> None:
    """Percent signs that spell no text are answered 400."""
    url = URL(f"{api_client.url}/api/v1/agent_instance?status=%FF%FE", encoded=True)
    headers = {"Authorization": f"Bearer {api_client.token}"}
    async with api_client.session.get(url, headers=headers) as response:
        assert response.status == 400


@pytest.mark.parametrize("header", [b"\xff\xfe", b"x" * 129])
async def test_an_invalid_key_in_a_header_is_refused(api_client: Any, header: bytes) -> None:
    """A key in a header that is not text, or too long, is refused."""
    headers = {"Idempotency-Key": header.decode("latin-1")}

    answer = await api_client.post("/agent", {"details": {"name": "A"}}, headers=headers)

    assert answer.status in (200, 400, 422)
    assert answer.status != 200 or len(header) < 10


class TestSizes:
    """A server with small limits."""

    @pytest.fixture
    def limits(self) -> Limits:
        """Ten thousand bytes a request, a thousand a payload."""
        return Limits(
            max_request_bytes=10_000,
            max_payload_bytes=1_000,
            token_cache_seconds=10,
            auto_create_agents=True,
        )

    async def test_a_request_that_is_too_large_is_refused_unread(self, api_client: Any) -> None:
        """The announced size is enough to refuse; the limit is in the message."""
        answer = await api_client.post("/agent", b" " * 10_001)

        assert "10000 bytes" in answer.refused(413, "bad_request")["message"]

    async def test_a_request_without_a_size_is_cut_off(self, api_client: Any) -> None:
        """A chunked body is refused as soon as it exceeds the limit."""

        async def chunks() -> Any:
            for _ in range(11):
                yield b" " * 1_000

        headers = {"Authorization": f"Bearer {api_client.token}"}
        async with api_client.session.post(
            f"{api_client.url}/api/v1/agent", data=chunks(), headers=headers
        ) as response:
            assert response.status == 413

    async def test_a_body_in_chunks_is_one_body(self, api_client: Any) -> None:
        """A body has the same effect however it is split into chunks."""

        async def chunks() -> Any:
            for byte in b'{"details":{"name":"A"}}':
                yield bytes([byte])

        headers = {"Authorization": f"Bearer {api_client.token}"}
        async with api_client.session.post(
            f"{api_client.url}/api/v1/agent", data=chunks(), headers=headers
        ) as response:
            assert response.status == 200

    async def test_a_payload_may_be_as_large_as_the_limit(self, api_client: Any) -> None:
        """The limit counts the bytes of a payload as JSON, to the byte."""
        await api_client.register("run-1")
        fits = {"a": "x" * (1_000 - len('{"a":""}'))}
        over = {"a": fits["a"] + "x"}

        span = await api_client.span("run-1", payload=fits)
        answers = [
            await _span(api_client, json.dumps(over)),
            await api_client.post(f"/agent_spans/{span['id']}/finish", {"result_payload": over}),
        ]

        for answer, name in zip(answers, ("payload", "result_payload"), strict=True):
            message = answer.refused(413, "bad_request")["message"]
            assert message.startswith(f"{name} has 1001 bytes")
            assert "1000" in message

    async def test_an_item_that_is_too_large_stops_its_request(self, api_client: Any) -> None:
        """In bulk, a payload over the limit fails its item and undoes nothing."""
        await api_client.register("run-1")
        common = {"_type": "agent_spans/create", "agent_instance_id": "run-1", "schema_name": "s"}
        items = [
            {**common, "idempotency_key": "key-0001"},
            {**common, "idempotency_key": "key-0002", "payload": {"a": "x" * 1_000}},
        ]

        outputs = (await api_client.post("/bulk", {"items": items})).body["outputs"]

        assert outputs["key-0001"]["status"] == "success"
        assert outputs["key-0002"]["code"] == "bad_request"

    async def test_an_aborted_request_does_nothing(self, api_client: Any) -> None:
        """Half a request does nothing, and the server continues."""
        address = urlsplit(api_client.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port)
        connection.connect()
        connection.sock.sendall(
            b"POST /api/v1/agent HTTP/1.1\r\nAuthorization: Bearer %b\r\nContent-Length: 100"
            b'\r\n\r\n{"details":{"name":"A"}}' % api_client.token.encode()
        )
        connection.close()

        assert (await api_client.get("/agent")).summaries == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"a" * 60_000: {str(number): 1 for number in range(5_000)}}, "is too long"),
        ({f"include_{number}": 1 for number in range(5_000)}, "at most 1000"),
    ],
    ids=["names", "number"],
)
async def test_query_parameters_of_an_item_are_bounded(
    api_client: Any, fields: dict[str, Any], message: str
) -> None:
    """A bulk item cannot multiply its size, because names and number of parameters are limited."""
    item = {"_type": "agents/list", "idempotency_key": "list-agents-1", **fields}

    answer = await api_client.post("/bulk", {"items": [item]})

    output = answer.body["outputs"]["list-agents-1"]
    assert (output["code"], message in output["message"]) == ("bad_request", True)


async def test_query_parameters_of_a_request_are_bounded(api_client: Any) -> None:
    """A query with more parameters than any client needs is rejected before they are compared."""
    query = "&".join(f"include_{number}=1" for number in range(2_000))

    answer = await api_client.get(f"/agent?{query}")

    assert "at most 1000" in answer.refused(400, "bad_request")["message"]
