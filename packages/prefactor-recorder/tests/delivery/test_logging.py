"""Delivery continues whatever the host's logging handlers do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from prefactor_http.testing import Reply
from prefactor_recorder import Recorder, Run
from recorded import RecordedRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from prefactor_http.testing import ScriptedServer
    from prefactor_recorder.delivery import Delivery

    from .conftest import InspectableJournal


class Failing(logging.Handler):
    """A handler that raises."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError(record.getMessage())


class Recording(logging.Handler):
    """A handler that records what is logged."""

    run: Run | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.run is not None:
            with self.run.span("log:record", {"message": record.getMessage()}):
                pass


@pytest.fixture
def handled() -> Iterator[Callable[[logging.Handler], None]]:
    """Adds handlers to the root logger until the end of the test."""
    root = logging.getLogger()
    added: list[logging.Handler] = []

    def add(handler: logging.Handler) -> None:
        added.append(handler)
        root.addHandler(handler)

    yield add
    for handler in added:
        root.removeHandler(handler)


def test_a_failing_handler_does_not_stop_delivery(
    server: ScriptedServer,
    deliver: Callable[..., Delivery],
    journal: InspectableJournal,
    handled: Callable[[logging.Handler], None],
) -> None:
    """Failed warnings are lost, but everything is still delivered."""
    handled(Failing())
    server.script(*[Reply.error(500, "internal_error", "No")] * 2)
    delivery = deliver()
    RecordedRun(journal).begin().span("span-00000001").finish()

    assert delivery.flush(60) == 0

    assert list(server.spans) == ["span-00000001"]
    assert delivery.stats.worker_restarts == 0


def test_a_handler_may_record(
    server: ScriptedServer, tmp_path: Path, handled: Callable[[logging.Handler], None]
) -> None:
    """Log messages of delivery and the guard can be recorded, without an endless loop."""
    handler = Recording()
    handled(handler)
    server.script(*[Reply.error(500, "internal_error", "No")] * 2)
    with Recorder(server.url, server.token, spool_dir=tmp_path) as recorder:
        with recorder.run(agent_id="logging") as run:
            handler.run = run
            run.span("agent:step").finish(status="no such status")  # type: ignore[arg-type]
            with run.span("agent:step") as span:
                span.finish(status="no such status")  # type: ignore[arg-type]
            assert recorder.flush(60) == 0
        assert recorder.flush(60) == 0
        handler.run = None
    recorded = [span["schema_name"] for span in server.spans.values()]
    assert recorded.count("agent:step") == 1
    assert 1 <= recorded.count("log:record") <= 10
