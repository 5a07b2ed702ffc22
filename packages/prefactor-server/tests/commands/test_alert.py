"""How raising and clearing alerts change the stored rows."""

from typing import Any

from rows import alert, deployed, instance, principal, request

from prefactor_server.commands.alert import ClearAlert, RaiseAlert
from prefactor_server.commands.base import Done, Refused, Stale, decide_command
from prefactor_server.domain.errors import NotPermitted
from prefactor_server.domain.runs.alert import Alert, AlertFacts
from prefactor_server.storage.base import Needs, Snapshot

FACTS = AlertFacts("Slow", None, "info", b'{"a":1}', None, None)


def _raise(**given: Any) -> RaiseAlert:
    fields = {"id": "alert-2", "agent_instance_id": "run-1", "name": "slow", "facts": FACTS}
    more = {"schema_version_id": "schema-1", **given}
    return RaiseAlert(request=request(), principal=principal(), **{**fields, **more})  # type: ignore[arg-type]


def test_only_the_run_and_its_alert_are_read() -> None:
    """Raising and clearing read the run and its alert of that name; raising counts its alerts."""
    raising, clearing = Needs(), Needs()
    _raise().needs(raising)
    ClearAlert(request(), principal(), "run-1", "slow").needs(clearing)

    assert clearing == Needs(instances={"run-1"}, alerts={("run-1", "slow")})
    clearing.counts.add(("raised_alerts", "run-1"))
    assert raising == clearing


def test_facts_by_another_schema_are_not_stored() -> None:
    """A command that was prepared with another schema version than its run's is repeated."""
    snapshot = Snapshot([instance()])

    assert isinstance(decide_command(_raise(schema_version_id="schema-2"), snapshot), Stale)
    assert snapshot.new(Alert) == ()


def test_a_deployment_cannot_clear_the_servers_alerts() -> None:
    """A deployment token is refused; an account token clears the alert, and it stays cleared."""
    own = alert(raised_by="server")
    refused = decide_command(
        ClearAlert(request(), deployed("agent-1"), "run-1", "slow"), Snapshot([instance(), own])
    )
    snapshot = Snapshot([instance(), own])
    done = decide_command(ClearAlert(request(), principal(), "run-1", "slow"), snapshot)

    assert isinstance(refused, Refused)
    assert isinstance(refused.refusal, NotPermitted)
    assert isinstance(done, Done)
    (cleared,) = snapshot.changed(Alert)
    assert (cleared.status, cleared.dismissed, cleared.version) == ("cleared", True, 2)


def test_an_alert_is_never_cleared_before_it_was_raised() -> None:
    """If the clock was set back, an alert is cleared at the time at which it was raised."""
    raised = alert(raised_at=5_000)

    assert raised.clear(4_000, dismissed=False).cleared_at == 5_000
