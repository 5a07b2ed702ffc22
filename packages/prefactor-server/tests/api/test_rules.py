"""The pure rules of the API, tested without a server."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.api.asgi.router import Router
from prefactor_server.api.kernel.decode import MAX_DEPTH, check_depth
from prefactor_server.api.kernel.entropy import BufferedEntropy
from prefactor_server.api.kernel.errors import MethodNotAllowed
from prefactor_server.api.kernel.fields import CLIENT_ID_PATTERN, NEW_ID_PATTERN
from prefactor_server.api.kernel.operation import Operation
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.domain.errors import BadRequest, NotFound
from prefactor_server.domain.ids import RESERVED_IDS, is_client_id, is_new_id

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=300,
)


@given(st.text() | st.from_regex(CLIENT_ID_PATTERN) | st.text("aZ0_.:-\n ", max_size=66))
def test_the_documented_pattern_of_ids_is_right(text: str) -> None:
    """The pattern in the OpenAPI document accepts exactly the ids that the domain accepts."""
    assert (re.search(CLIENT_ID_PATTERN, text) is not None) == is_client_id(text)


@given(st.text() | st.from_regex(NEW_ID_PATTERN) | st.sampled_from(RESERVED_IDS))
def test_the_documented_pattern_of_new_ids_is_right(text: str) -> None:
    """The pattern in the OpenAPI document accepts exactly the ids that may be chosen."""
    assert (re.search(NEW_ID_PATTERN, text) is not None) == is_new_id(text)


def test_no_new_id_is_a_reserved_word() -> None:
    """A fixed word of a path, where the same method takes an id, is reserved."""
    parted = [(one.method, *one.path.rpartition("/")) for one in OPERATIONS]
    of_one = {(method, head) for method, head, _, last in parted if last.startswith("{")}
    literals = {
        last
        for method, head, _, last in parted
        # Ids of alerts are made by the server.
        if (method, head) in of_one and not last.startswith("{") and head != "/api/v1/alerts"
    }

    assert literals
    assert literals <= set(RESERVED_IDS)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(JSON, st.integers(0, MAX_DEPTH + 20))
def test_the_quick_depth_check_is_exact(value: Any, wrappings: int) -> None:
    """The quick depth check agrees with walking the value, whatever its texts contain."""
    for number in range(wrappings):
        value = {"[{": value} if number % 2 else [value, '}]"\\']
    document = msgspec.json.encode(value)

    if _depth(value) > MAX_DEPTH:
        with pytest.raises(BadRequest):
            check_depth(document)
    else:
        check_depth(document)


ROUTES = [
    ("GET", "/api/v1/agent", "agents.list", ""),
    ("POST", "/api/v1/agent", "agents.create", ""),
    ("GET", "/api/v1/agent/show", "agents.show", ""),
    ("GET", "/api/v1/agent/shown", "agents.get", "shown"),
    ("GET", "/api/v1/agent/a%2Fb%20c", "agents.get", "a/b c"),
    ("POST", "/api/v1/agent_instance/register", "agent_instances.register", ""),
    ("GET", "/api/v1/agent_instance/register", "agent_instances.show", "register"),
    ("POST", "/api/v1/agent_instance/start/start", "agent_instances.start", "start"),
    ("POST", "/api/v1/agent_spans/a/finish", "agent_spans.finish", "a"),
]


@pytest.mark.parametrize(("method", "path", "name", "path_id"), ROUTES)
def test_a_path_leads_to_its_operation(method: str, path: str, name: str, path_id: str) -> None:
    """Fixed paths win over ids, and ids may contain anything percent-encoded."""
    match = Router(OPERATIONS).match(method, path)

    assert (match.operation.name, match.path_id) == (name, path_id)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_operation_is_reached(operation: Operation) -> None:
    """No operation shadows another."""
    path = re.sub(r"\{.*?\}", "some-id", operation.path)

    assert Router(OPERATIONS).match(operation.method, path).operation is operation


@pytest.mark.parametrize(
    "path", ["", "/", "//", "/api/v1", "/api/v1/", "/api/v1/agent/", "/api/v1/agent/a/", "/ping"]
)
def test_a_path_that_leads_nowhere_is_not_found(path: str) -> None:
    """Too many or too few slashes are not found."""
    with pytest.raises(NotFound):
        Router(OPERATIONS).match("GET", path)


def test_a_wrong_method_gets_the_allowed_ones() -> None:
    """A wrong method is answered with the allowed ones, for either reading of the path."""
    with pytest.raises(MethodNotAllowed) as caught:
        Router(OPERATIONS).match("PATCH", "/api/v1/agent_instance/register")

    assert caught.value.allowed == ("GET", "POST", "PUT")


@given(st.lists(st.integers(1, 5000), max_size=20))
def test_random_bytes_are_never_reused(sizes: list[int]) -> None:
    """Every result has the requested size and continues the source without repetition."""
    position = 0

    def source(size: int) -> bytes:
        nonlocal position
        position += size
        return b"".join(number.to_bytes(4, "big") for number in range(position - size, position))

    def words(size: int) -> bytes:
        return source(-(-size // 4))[:size]

    entropy = BufferedEntropy(words)
    given_out = [entropy(size * 4) for size in sizes]

    assert [len(one) for one in given_out] == [size * 4 for size in sizes]
    drawn = [one[at : at + 4] for one in given_out for at in range(0, len(one), 4)]
    assert len(set(drawn)) == len(drawn)
