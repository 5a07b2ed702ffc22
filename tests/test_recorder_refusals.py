"""No argument of the recorder makes the server refuse a run, tested on a real server."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live_server import LiveServer
from prefactor_http import HttpClientConfig, PrefactorHttpClient
from prefactor_recorder import ConfigurationError, Recorder

LIMIT = 60.0
PAYLOAD_LIMIT = 20_000
REQUEST_LIMIT = 200_000


@pytest.fixture
def recorder(live_server: LiveServer) -> Iterator[Recorder]:
    """A recorder in memory, to the server that all tests share."""
    with recording_to(live_server) as made:
        yield made


def recording_to(server: LiveServer, **changes: Any) -> Recorder:
    """A recorder to a server."""
    given = {"agent_id": "refusals", "durability": "memory", **changes}
    return Recorder(server.url, server.token, **given)


@pytest.fixture
async def client(live_server: LiveServer) -> AsyncIterator[PrefactorHttpClient]:
    """Asks the server for its data."""
    async with PrefactorHttpClient(HttpClientConfig(live_server.url, live_server.token)) as opened:
        yield opened


# Encoders and databases fail on surrogates and NUL.
texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["", "\0", "\ud800", "a\0b", "x" * 300, "é" * 300, "y" * 20_000, "null", "../..", " "]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=9)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(scalars, inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=8,
)
names = texts | scalars
versions = names | st.fixed_dictionaries(
    {},
    optional={
        "name": names,
        "external_identifier": names,
        "description": names,
        "runtime_environment": st.dictionaries(scalars, values, max_size=3),
        "unknown": names,
    },
)
spans = st.fixed_dictionaries(
    {"name": names, "payload": values, "result": values},
    optional={"parent": scalars, "status": scalars},
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    arguments=st.fixed_dictionaries(
        {},
        optional={
            "agent_id": names,
            "version": versions,
            "purpose": st.sampled_from(["live", "eval", "", "production"]) | scalars,
            "external_identifier": names,
            "sampled": st.sampled_from([True, None]),
        },
    ),
    declared=st.lists(st.tuples(names, st.none() | texts, st.none() | texts), max_size=3),
    recorded=st.lists(spans, max_size=4),
)
def test_every_record_arrives_or_is_refused_at_once(
    recorder: Recorder,
    arguments: dict[str, Any],
    declared: list[tuple[Any, Any, Any]],
    recorded: list[dict[str, Any]],
) -> None:
    """For any arguments, everything arrives, or `ConfigurationError` is raised at once."""
    for name, title, description in declared:
        with contextlib.suppress(ConfigurationError):
            recorder.span_type(name, title=title, description=description)
    before = recorder.stats()
    try:
        run = recorder.run(**arguments)
    except ConfigurationError:
        return
    with run:
        for one in recorded:
            span = run.start_span(one["name"], one["payload"], parent=one.get("parent"))
            span.finish(one["result"], status=one.get("status", "complete"))
    left = recorder.flush(LIMIT)
    after = recorder.stats()

    assert (left, after.dead_lettered) == (0, before.dead_lettered)
    # Two examples may choose one external identifier; the later run only gets another one.
    if "already exists" not in (after.last_error or ""):
        assert after.last_error == before.last_error
    assert after.delivered - before.delivered == 3 + 2 * len(recorded)


async def test_an_agent_id_of_nul_is_the_recorders(
    recorder: Recorder, client: PrefactorHttpClient
) -> None:
    """An agent id that is empty after correction is replaced by the recorder's."""
    with recorder.run(agent_id="\0") as run:
        pass
    assert await recorder.aflush(LIMIT) == 0
    assert (await client.agent_instances.get(run.id)).status == "complete"


async def test_a_repeated_external_identifier_costs_nothing(
    recorder: Recorder, client: PrefactorHttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The second run with that name gets a different one, and the log says so."""
    with caplog.at_level(logging.WARNING):
        runs = [recorder.run(external_identifier="order-7") for _ in range(2)]
        for run in runs:
            with run, run.span("x:y", {"a": 1}):
                pass
        assert await recorder.aflush(LIMIT) == 0
    found = [await client.agent_instances.get(run.id) for run in runs]
    assert [run.status for run in found] == ["complete", "complete"]
    assert [run.external_identifier for run in found] == ["order-7", f"order-7~{runs[1].id}"]
    assert recorder.stats().corrected >= 1
    assert "external_identifier='order-7'" in caplog.text


@pytest.mark.parametrize("durability", ["memory", "disk"])
async def test_payloads_are_truncated_to_the_servers_limit(
    serve: Callable[..., LiveServer], tmp_path: Path, durability: Any
) -> None:
    """Payloads and results over the server's limit arrive truncated and marked, others whole."""
    limits = ("--max-payload-bytes", str(PAYLOAD_LIMIT), "--max-request-bytes", str(REQUEST_LIMIT))
    server = serve(tmp_path / "server", *limits)
    large, small = {"text": "t" * 500_000}, {"text": "s" * 1000}
    made = recording_to(
        server, durability=durability, spool_dir=tmp_path / "spool", max_payload_size=2**22
    )
    with made as recorder, recorder.run() as run:
        for number in range(20):
            with run.span(f"x:{number}", large if number % 2 else small) as span:
                span.set_result(large if number % 3 else small)
        first = recorder.stats()
        assert await recorder.aflush(LIMIT) == 0
        requests = recorder.stats().requests
        with run.span("x:later", large):
            pass
        assert await recorder.aflush(LIMIT) == 0
        stats = recorder.stats()

    assert (first.dead_lettered, stats.dead_lettered, stats.dropped) == (0, 0, 0)
    assert stats.requests <= requests + 2, "the limit is remembered"
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        rows = [row async for row in client.agent_spans.iterate(agent_instance_id=run.id)]
    assert len(rows) == 21
    for number, row in enumerate(sorted(rows, key=lambda row: row.started_at)[:20]):
        for payload, whole in (
            (row.payload, number % 2 == 0),
            (row.result_payload, number % 3 == 0),
        ):
            assert (payload == small) is whole
            assert whole or payload["prefactor.truncated"]["original_size"] > 500_000
            assert whole or len(payload["text"]) > PAYLOAD_LIMIT // 2


async def test_an_oversized_registration_loses_only_its_schemas(
    serve: Callable[..., LiveServer], tmp_path: Path
) -> None:
    """If only the span types exceed the request limit, the run arrives without them."""
    server = serve(tmp_path / "server", "--max-request-bytes", "50000")
    with recording_to(server) as recorder:
        recorder.span_type("x:y", description="d" * 100_000)
        with recorder.run() as run, run.span("x:y", {"a": 1}):
            pass
        assert await recorder.aflush(LIMIT) == 0
        assert recorder.stats().dead_lettered == 0
    async with PrefactorHttpClient(HttpClientConfig(server.url, server.token)) as client:
        found = await client.agent_instances.get(run.id)
    assert (found.status, found.span_counts.total) == ("complete", 1)
