"""The server's own alerts: their causes and their lifecycle."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import NOW, instance, risk_profile

from prefactor_server.domain.ids import is_new_id
from prefactor_server.domain.pfid import is_pfid
from prefactor_server.domain.risk.risk_score import RunRisk
from prefactor_server.domain.runs.alert import Alert
from prefactor_server.domain.runs.alert_cause import (
    RISK_EXCEEDED,
    RUN_FAILED,
    Cause,
    alert_id,
    causes,
    follow_cause,
)

RUN = instance(status="active")
SERIOUS = Cause("warning", {"risk_score": 60}, NOW)
WORSE = Cause("critical", {"risk_score": 120}, NOW + 5)


def _follow(alert: Alert | None, cause: Cause | None) -> Alert:
    """Return the alert after its cause was checked; the same one if nothing changes."""
    followed = follow_cause(RUN, RISK_EXCEEDED, alert, cause, NOW + 9) or alert
    assert followed is not None
    return followed


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"status": "failed", "finished_at": 7}, ["run.failed"]),
        ({"status": "terminated", "finished_at": 7}, ["run.terminated"]),
        ({"status": "complete", "finished_at": 7}, []),
        ({"status": "cancelled", "finished_at": 7}, []),
        ({"status": "active"}, []),
    ],
)
def test_how_a_run_ended_is_a_cause(fields: Any, names: list[str]) -> None:
    """A failed or terminated run has an alert with the time of its end."""
    found = causes(instance(**fields), None, None, NOW)

    assert list(found) == names
    assert all(cause.at == 7 for cause in found.values())


@pytest.mark.parametrize(
    ("agreed", "level", "severity"),
    [
        ("low", "medium", "info"),
        ("low", "high", "warning"),
        ("medium", "critical", "critical"),
        (None, "critical", "critical"),
        (None, "high", None),
        ("high", "high", None),
        ("critical", "critical", None),
    ],
)
def test_a_risk_above_the_agreed_level_is_a_cause(
    agreed: Any, level: Any, severity: str | None
) -> None:
    """The level decides the severity, and an agreed level is not a cause."""
    profile = risk_profile(agreed_risk=agreed)

    cause = causes(RUN, profile, RunRisk(60, level, ()), NOW).get(RISK_EXCEEDED)

    assert (None if cause is None else cause.severity) == severity
    if cause is not None:
        assert cause.payload == {"risk_score": 60, "risk_level": level, "agreed_risk": agreed}


def test_an_alert_follows_its_cause() -> None:
    """An alert is raised once, updated with its cause, cleared without it, and raised again."""
    raised = _follow(None, SERIOUS)
    same = follow_cause(RUN, RISK_EXCEEDED, raised, SERIOUS, NOW + 9)
    worse = _follow(raised, WORSE)
    cleared = _follow(worse, None)
    again = _follow(cleared, SERIOUS)

    assert same is None
    assert [(one.status, one.severity, one.version) for one in (raised, worse, cleared, again)] == [
        ("raised", "warning", 1),
        ("raised", "critical", 2),
        ("cleared", "critical", 3),
        ("raised", "warning", 4),
    ]
    assert {one.id for one in (raised, worse, cleared, again)} == {alert_id("run-1", RISK_EXCEEDED)}
    assert (raised.raised_at, worse.raised_at, cleared.cleared_at) == (NOW, NOW, NOW + 9)
    assert (again.raised_at, again.cleared_at) == (NOW, None)
    assert follow_cause(RUN, RISK_EXCEEDED, None, None, NOW) is None
    assert follow_cause(RUN, RISK_EXCEEDED, cleared, None, NOW) is None


def test_a_dismissed_alert_stays_cleared() -> None:
    """A caller's clear holds until the risk increases, or disappears and returns."""
    dismissed = _follow(None, SERIOUS).clear(NOW, dismissed=True)

    assert follow_cause(RUN, RISK_EXCEEDED, dismissed, SERIOUS, NOW) is None
    assert _follow(dismissed, WORSE).status == "raised"
    gone = _follow(dismissed, None)
    assert (gone.status, gone.dismissed) == ("cleared", False)
    assert _follow(gone, SERIOUS).status == "raised"


@given(st.text(min_size=1, max_size=64), st.sampled_from([RUN_FAILED, RISK_EXCEEDED]))
def test_an_id_is_derived_from_run_and_name(run_id: str, name: str) -> None:
    """An alert's id depends on its run and name only, and has the usual form."""
    found = alert_id(run_id, name)

    assert found == alert_id(run_id, name)
    assert is_pfid(found)
    assert is_new_id(found)
    assert found not in {alert_id(run_id + "x", name), alert_id(run_id, name + "x")}


def test_the_alerts_of_a_run_sort_with_it() -> None:
    """The id of an alert has the time and partition of its run's id, if that id is a PFID."""
    run_id = "01jbadqvh4k0e7f9x2m8s5c3wq000000"
    assert alert_id(run_id, RUN_FAILED)[:16] == run_id[:16]
