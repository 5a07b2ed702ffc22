"""What the API answers to a field of the wrong type, and to null, in every operation's body."""

from collections.abc import Iterator
from typing import Any

from described_api import Described, described

UNLIKE = ({"no": "field"}, "\0", "x" * 20_000, -0.5, 10**30, [None], True)
"""At least one value of each type of JSON, most of them out of range as well."""


async def _with_bodies(api_client: Any) -> list[Described]:
    document = (await api_client.get("/openapi")).body
    found = [one for one in described(document) if one.body and one.path.startswith("/api/v1")]
    # Answers about items, and OTLP, have their own shape.
    return [one for one in found if one.name != "bulk" and "otlp" not in one.path]


def _with_field(operation: Described, way: tuple[str, ...], value: Any) -> Any:
    """Return a body in which the field has the value, and others are as required."""
    body = operation.make(lambda name, schema: schema.get("enum", [name])[0], lambda _: False)
    inner = body
    for name in way[:-1]:
        inner = inner.setdefault(name, {})
    inner[way[-1]] = value
    return body


def _messages(errors: Any) -> Iterator[str]:
    if errors.get("status") == "error":
        yield errors["message"]
    else:
        for inner in errors.values():
            yield from _messages(inner)


async def test_a_field_of_the_wrong_type(api_client: Any) -> None:
    """An error says what the field must be, and never quotes the decoder's own types."""
    for operation in await _with_bodies(api_client):
        path = operation.path.removeprefix("/api/v1").replace("{", "").replace("}", "")
        for way in operation.fields():
            for value in UNLIKE:
                body = _with_field(operation, way, value)
                answer = (await api_client.call(operation.method, path, body)).body
                said = [answer.get("message", ""), *_messages(answer.get("errors", {}))]
                assert not any("Expected" in one for one in said), (operation, way, value, said)


async def test_an_optional_field_that_is_null(api_client: Any) -> None:
    """Null in an optional field of any body means the same as omitting the field."""
    for operation in await _with_bodies(api_client):
        path = operation.path.removeprefix("/api/v1").replace("{", "").replace("}", "")
        for way in operation.fields():
            body = _with_field(operation, way, None)
            answer = (await api_client.call(operation.method, path, body)).body
            said = answer.get("message", "")
            assert "cannot be read" not in said, (operation, way, said)
