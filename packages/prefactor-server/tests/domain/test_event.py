"""Which callers receive which changes, and how changes of a run are merged."""

from dataclasses import replace
from typing import Any

import pytest
from rows import ACCOUNT, ENVIRONMENT, STAGING, principal

from prefactor_server.domain.change import RUN_CHANGED, Change
from prefactor_server.domain.event import ChangedRows, EventFilter, merge_changes
from prefactor_server.domain.runs.agent_instance import AgentInstance

RUN = AgentInstance(
    id="run-1",
    account_id=ACCOUNT,
    agent_id="agent-1",
    agent_version_id="v",
    agent_schema_version_id="s",
    agent_deployment_id="d",
    environment_id=ENVIRONMENT,
    external_identifier=None,
    purpose="live",
    inserted_at=1,
    status="active",
    started_at=1,
    finished_at=None,
    termination_reason=None,
    pending_spans=0,
    active_spans=0,
    complete_spans=0,
    failed_spans=0,
    cancelled_spans=0,
    updated_at=1,
)
DEPLOYED = replace(
    principal(), scope="agent_deployment", agent_id="agent-1", environment_id=ENVIRONMENT
)


def which(**wanted: Any) -> EventFilter:
    """The filter of an account token."""
    return EventFilter.for_caller(principal(), **wanted)


def own(**wanted: Any) -> EventFilter:
    """The filter of a deployment token."""
    return EventFilter.for_caller(DEPLOYED, **wanted)


@pytest.mark.parametrize(
    ("caller", "run", "passes"),
    [
        (which(), RUN, True),
        (which(instance_ids=["run-1"]), RUN, True),
        (which(instance_ids=["run-2"]), RUN, False),
        (which(agent_ids=["agent-1"]), RUN, True),
        (which(agent_ids=["agent-2"]), RUN, False),
        (which(instance_ids=["run-1"], agent_ids=["agent-2"]), RUN, True),
        (own(), RUN, True),
        (own(), RUN._replace(environment_id=STAGING), False),
        (own(), RUN._replace(agent_id="agent-2"), False),
        (own(instance_ids=["run-1"]), RUN._replace(agent_id="agent-2"), False),
        (own(agent_ids=["agent-2"]), RUN._replace(agent_id="agent-2"), False),
    ],
)
def test_filter(caller: EventFilter, run: AgentInstance, passes: bool) -> None:
    """A caller receives the requested runs that it may see."""
    rows = ChangedRows({run.id: ()}, {run.id: run}, {}, {})

    assert caller.passes(run) is passes
    assert bool(rows.passing(caller).changes) is passes
    assert caller.may_pass(run.id) or not passes


@pytest.mark.parametrize(
    ("caller", "passes"),
    [
        (which(), True),
        (which(agent_ids=["agent-2"]), True),
        (which(instance_ids=["run-1"]), True),
        (which(instance_ids=["run-2"]), False),
        (own(), False),
        (own(instance_ids=["run-1"]), True),
        (own(instance_ids=["run-2"]), False),
    ],
)
def test_deleted(caller: EventFilter, passes: bool) -> None:
    """A deployment token receives the deletion of a run that it follows by id, and no other."""
    rows = ChangedRows({"run-1": ()}, {}, {}, {})

    assert bool(rows.passing(caller).changes) is passes


def test_merge() -> None:
    """Changes of a run merge into one, which names each span once, in order."""
    changes = [
        Change(1, ACCOUNT, "run-1", 1, RUN_CHANGED, ("b", "a"), ()),
        Change(1, ACCOUNT, "run-2", 1, RUN_CHANGED, (), ()),
        Change(2, ACCOUNT, "run-1", 2, 0, ("a", "c"), ("a",)),
    ]

    assert merge_changes(changes) == {"run-1": ("b", "a", "c"), "run-2": ()}
