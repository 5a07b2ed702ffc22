"""Wrong arguments raise before anything is sent, as errors of this package and of pydantic."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from prefactor_http import (
    PrefactorHttpClient,
    PrefactorHttpError,
    PrefactorRequestError,
    PrefactorValidationError,
)
from prefactor_http.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefactor_http.events import EventStream
    from prefactor_http.testing import ScriptedServer

TEXT: Any = "sesame-5 and more"
NUMBER: Any = 5

Calls = dict[str, tuple["Callable[[PrefactorHttpClient], Any]", str]]
BOTH: Calls = {
    # Every kind of argument once: an object, a list, text, a word, a time, a flag, a callback.
    "payload": (lambda c: c.agent_spans.create("i", "x", "active", TEXT), "str"),
    "result_payload": (lambda c: c.agent_spans.finish("s", None, NUMBER), "int"),
    "agent_version": (lambda c: c.agent_instances.register("a", TEXT), "str"),
    "agent_version.name": (lambda c: c.agent_instances.register("a", {"name": NUMBER}), "int"),
    "agent_schema_version": (lambda c: c.agent_instances.register("a", {}, [TEXT]), "list"),
    "quality_payload": (lambda c: c.agent_instances.update("i", TEXT), "str"),
    "runtime_environment": (
        lambda c: c.agent_versions.create(
            agent_id="a", external_identifier="v", runtime_environment=TEXT
        ),
        "str",
    ),
    "span_type_schemas": (
        lambda c: c.agent_schema_versions.create(
            agent_id="a", external_identifier="s", span_type_schemas=TEXT
        ),
        "str",
    ),
    "quality_schemas[1]": (
        lambda c: c.agent_schema_versions.create(
            agent_id="a", external_identifier="s", quality_schemas=[{}, TEXT]
        ),
        "str",
    ),
    "thresholds": (lambda c: c.risk_profiles.create(name="n", thresholds=TEXT), "str"),
    "details": (lambda c: c.agents.create(TEXT), "str"),
    "details.name": (lambda c: c.agents.update("a", {"name": NUMBER}), "int"),
    "schema_name": (lambda c: c.agent_spans.create("i", NUMBER, "active"), "int"),
    "name": (lambda c: c.accounts.update("a", name=NUMBER), "int"),
    "current_version_id": (
        lambda c: c.agent_deployments.update("d", current_version_id=NUMBER),
        "int",
    ),
    "environment_id": (
        lambda c: c.agent_deployments.create(agent_id="a", environment_id=NUMBER),
        "int",
    ),
    "token_scope": (lambda c: c.api_tokens.create(token_scope=NUMBER), "int"),
    "external_identifier": (
        lambda c: c.agent_versions.create(agent_id="a", external_identifier=NUMBER),
        "int",
    ),
    "timestamp": (lambda c: c.agent_instances.start("i", NUMBER), "int"),
    "started_at": (lambda c: c.agent_spans.create("i", "x", "active", started_at=NUMBER), "int"),
    "expires_at": (lambda c: c.api_tokens.create(token_scope="account", expires_at=NUMBER), "int"),
    "started_after": (lambda c: c.agent_instances.list(started_after=NUMBER), "int"),
    "start_time": (lambda c: c.agent_spans.list(agent_id="a", start_time=NUMBER), "int"),
    "sensitive_encoding": (
        lambda c: c.agent_spans.create("i", "x", "active", sensitive_encoding=TEXT),
        "str",
    ),
    "update_current_version": (
        lambda c: c.agent_instances.register("a", update_current_version=TEXT),
        "str",
    ),
    "control_signal_callback": (
        lambda c: c.agent_spans.finish("s", control_signal_callback=TEXT),
        "str",
    ),
}
RANGES: Calls = {
    "status": (lambda c: c.agent_spans.create("i", "x", "done"), "'done'"),  # type: ignore[arg-type]
    "purpose": (lambda c: c.agent_instances.register("a", purpose="fun"), "'fun'"),  # type: ignore[arg-type]
    "reason": (lambda c: c.agent_instances.terminate("i", " "), ""),
    "name": (lambda c: c.agent_instances.record_quality("i", ""), ""),
}
OURS: Calls = {
    "agent_span_id": (lambda c: c.agent_spans.get(NUMBER), "5"),
    "idempotency_key": (lambda c: c.agents.retire("a", NUMBER), "int"),
    "options": (lambda c: c.agents.retire("a", options=TEXT), "str"),
    "sorting": (lambda c: c.agents.list(sorting=NUMBER), "int"),
    "request": (lambda c: c.bulk.execute(TEXT), "str"),
    "json_data": (lambda c: c.request("POST", "/x", json_data=[TEXT]), "list"),  # type: ignore[arg-type]
    "params": (lambda c: c.request("GET", "/x", params=TEXT), "str"),
    "body": (lambda c: c.request_bytes("POST", "/x", TEXT), "str"),
}


LISTS: dict[str, tuple[Callable[[PrefactorHttpClient], Any], dict[str, Any]]] = {
    "prices": (lambda c: c.server.prices("gpt"), {"models": "gpt"}),
    "spans": (lambda c: c.agent_spans.get_many("abc"), {"ids": "abc"}),
    "runs": (lambda c: c.agent_instances.list(agent_ids="abc"), {"agent_ids": "abc"}),
    "events": (
        lambda c: opened(
            c.events(agent_instance_ids="abc", agent_ids="def", include_spans_of=(x for x in ()))
        ),
        {"agent_instance_ids": "abc", "agent_ids": "def"},
    ),
    "terminate": (
        lambda c: c.agent_instances.terminate_many("abc", "stuck"),
        {"filters": {}, "dry_run": False, "ids": ["abc"], "reason": "stuck"},
    ),
    "heartbeat": (lambda c: c.agent_instances.heartbeat("abc"), {"ids": ["abc"]}),
    "preview": (
        lambda c: c.risk_profiles.preview("abc", {}),
        {"agent_instance_ids": ["abc"], "risk_profile_id": None},
    ),
    "webhook": (
        lambda c: c.webhooks.create(url="u", events="run.failed", agent_ids="abc"),
        {"details": {"url": "u", "events": ["run.failed"], "agent_ids": ["abc"]}},
    ),
}


async def opened(events: EventStream) -> None:
    """Open a stream of events."""
    async with events:
        pass


async def refused(client: PrefactorHttpClient, call: Callable[[PrefactorHttpClient], Any]) -> Any:
    """Return what the call raises."""
    with pytest.raises(PrefactorHttpError) as caught:
        await call(client)
    return caught.value


@pytest.mark.parametrize(
    ("place", "call", "got"),
    [(place, *case) for cases in (BOTH, RANGES) for place, case in cases.items()],
)
async def test_an_argument_of_the_wrong_type(
    client: PrefactorHttpClient,
    server: ScriptedServer,
    place: str,
    call: Callable[[PrefactorHttpClient], Any],
    got: str,
) -> None:
    """The error names the argument and value, belongs to both packages, and can be copied."""
    error = await refused(client, call)
    assert isinstance(error, PrefactorRequestError)
    assert isinstance(error, ValidationError)
    copies = [copy.copy(error), pickle.loads(pickle.dumps(error))]  # noqa: S301 - made here
    for each in (error, *copies):
        assert type(each) is type(error)
        assert str(each).startswith(f"{place}: ")
        assert str(each).endswith(got)
        assert "sesame" not in str(each) + repr(each)
        assert (each.location, each.args) == (place, (str(each),))
        assert each.error_count() == 1
    assert server.requests == []


@pytest.mark.parametrize(("place", "call", "got"), [(p, *case) for p, case in OURS.items()])
async def test_an_unknown_argument(
    client: PrefactorHttpClient,
    server: ScriptedServer,
    place: str,
    call: Callable[[PrefactorHttpClient], Any],
    got: str,
) -> None:
    """The error names the argument and value."""
    error = await refused(client, call)
    assert isinstance(error, PrefactorRequestError)
    assert error.location == place
    assert got in str(error)
    assert server.requests == []


@pytest.mark.parametrize(("call", "sent"), LISTS.values(), ids=LISTS)
async def test_a_single_text_is_one_item_of_a_list(
    client: PrefactorHttpClient,
    server: ScriptedServer,
    call: Callable[[PrefactorHttpClient], Any],
    sent: dict[str, Any],
) -> None:
    """A string passed for a list is sent as one item, and an empty list is not sent."""
    server.script(Reply.error(422, "validation_error", "Seen"))
    with pytest.raises(PrefactorValidationError):
        await call(client)
    (request,) = server.requests
    content = dict(request.query) if request.method == "GET" else dict(request.json)
    content.pop("idempotency_key", None)
    content.get("details", {}).pop("idempotency_key", None)
    assert content == sent


async def test_several_arguments_are_named_at_once(client: PrefactorHttpClient) -> None:
    """Every invalid argument is named in the message, and in pydantic's list of errors."""
    error = await refused(client, lambda c: c.agent_spans.create(NUMBER, NUMBER, "active"))
    assert [line["loc"] for line in error.errors()] == [("agent_instance_id",), ("schema_name",)]
    assert "agent_instance_id: " in str(error)
    assert "; schema_name: " in str(error)


async def test_long_keys_and_exclusive_arguments(
    client: PrefactorHttpClient,
) -> None:
    """Errors that used to be a bare `ValueError` still are one, and are this package's too."""
    for call in (
        lambda c: c.agents.retire("a", "k" * 65),
        lambda c: c.agents.show(agent_id="a", external_identifier="b"),
    ):
        assert isinstance(await refused(client, call), ValueError)
