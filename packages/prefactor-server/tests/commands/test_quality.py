"""How recording quality changes the stored rows."""

from typing import Any

import pytest
from rows import deployed, instance, principal, request

from prefactor_server.commands.base import Done, Refused, Stale, decide_command
from prefactor_server.commands.quality import RecordQuality
from prefactor_server.commands.runs.run_quality import store_quality
from prefactor_server.domain.errors import NotFound, TooLarge
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.metadata import InstanceMetadata
from prefactor_server.domain.runs.quality import InstanceQuality, RunQuality, entry_text
from prefactor_server.storage.base import Needs, Snapshot


def _record(**given: Any) -> RecordQuality:
    return RecordQuality(
        **{
            "operation": "agent_instances.record_quality",
            "request": request(),
            "principal": principal(),
            "id": "run-1",
            "name": "q",
            "entry": entry_text(b'{"a":1}', "A", None),
            "schema_version_id": "schema-1",
            "max_bytes": 100,
            **given,
        }
    )


def test_only_the_run_and_its_quality_are_read() -> None:
    """Recording reads only the run, its quality, and the metadata for its answer."""
    needs = Needs()
    _record().needs(needs)

    rows = {(InstanceQuality, "run-1"), (InstanceMetadata, "run-1")}
    assert needs == Needs(instances={"run-1"}, rows=rows)


def test_records_of_a_batch_share_one_row() -> None:
    """Several records of a batch end as one new row that holds them all."""
    snapshot = Snapshot([instance()])
    for name in ("a", "b", "a"):
        outcome = decide_command(_record(name=name), snapshot)
        assert isinstance(outcome, Done)

    store_quality(snapshot)
    (made,) = snapshot.new(InstanceQuality)
    assert made.entries() == {
        "a": {"payload": {"a": 1}, "summary": "A"},
        "b": {"payload": {"a": 1}, "summary": "A"},
    }
    assert snapshot.changed(InstanceQuality) == ()
    assert isinstance(outcome.quality, RunQuality)
    assert outcome.quality.row() == made
    assert [run.status for run in snapshot.changed(AgentInstance)] == ["pending"]


def test_a_summary_by_another_schema_is_not_stored() -> None:
    """A record that was prepared with another schema version is prepared again."""
    outcome = decide_command(_record(schema_version_id="schema-2"), Snapshot([instance()]))

    assert outcome == Stale()


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"id": "run-2"}, NotFound),
        ({"principal": deployed("another-agent")}, NotFound),
        ({"max_bytes": 20}, TooLarge),
    ],
)
def test_a_refused_record_changes_nothing(given: Any, refusal: type[Exception]) -> None:
    """An unknown run, an invisible run, and too much quality are refused; no row is created."""
    snapshot = Snapshot([instance()])

    outcome = decide_command(_record(**given), snapshot)

    assert isinstance(outcome, Refused)
    assert isinstance(outcome.refusal, refusal)
    store_quality(snapshot)
    assert snapshot.new(InstanceQuality) == snapshot.changed(AgentInstance) == ()
