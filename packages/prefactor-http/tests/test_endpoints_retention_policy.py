"""The retention policy: what is sent, and what is read."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from prefactor_http import PrefactorRequestError
from prefactor_http.models import RetentionPolicyForUpdate, RetentionRuleForUpdate
from prefactor_http.testing import Reply

if TYPE_CHECKING:
    from prefactor_http import PrefactorHttpClient
    from prefactor_http.testing import ScriptedServer

RULE: dict[str, Any] = {"days": None, "agent_id": "a", "environment_id": None, "purpose": None}
POLICY = {
    "type": "retention_policy",
    "id": "account",
    "account_id": "account",
    "rules": [RULE, {**RULE, "days": 90, "agent_id": None}],
    "audit_days": 365,
    "updated_at": "2026-01-01T00:00:00.000000Z",
}


async def test_a_policy_is_shown_and_changed(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """Exactly the given fields are sent, None included, and the policy is read into its rules."""
    server.script(*[Reply(200, {"details": POLICY})] * 3)
    rules = [RetentionRuleForUpdate(days=90), RetentionRuleForUpdate(days=None, agent_id="a")]

    shown = await client.retention_policies.show()
    await client.retention_policies.update(RetentionPolicyForUpdate(rules=rules))
    await client.retention_policies.update({"audit_days": None}, "key-1")

    assert [one.days for one in shown.rules] == [None, 90]
    assert (shown.rules[0].agent_id, shown.audit_days) == ("a", 365)
    assert isinstance(shown.updated_at, datetime)
    _, first, second = server.requests
    assert (first.method, first.target) == ("PUT", "/api/v1/retention_policy")
    assert first.json["details"] == {"rules": [{"days": 90}, {"days": None, "agent_id": "a"}]}
    assert second.json == {"details": {"audit_days": None}, "idempotency_key": "key-1"}


async def test_rules_are_previewed(client: PrefactorHttpClient, server: ScriptedServer) -> None:
    """A preview takes the rules of an update, or shows the policy itself, and has no key."""
    due = {"rule": RULE, "runs": 3, "spans": 40, "held_runs": 1}
    said = {"type": "retention_preview", "rules": [due], "is_complete": False}
    server.script(*[Reply(200, {"details": said})] * 2)

    found = await client.retention_policies.preview(
        [{"days": 30}, RetentionRuleForUpdate(days=None, purpose="eval")]
    )
    await client.retention_policies.preview()

    assert (found.rules[0].runs, found.rules[0].spans, found.rules[0].held_runs) == (3, 40, 1)
    assert not found.is_complete
    first, second = server.requests
    assert (first.method, first.target) == ("POST", "/api/v1/retention_policy/preview")
    assert first.json == {"rules": [{"days": 30}, {"days": None, "purpose": "eval"}]}
    assert second.json == {}


async def test_a_wrong_rule_is_not_sent(
    client: PrefactorHttpClient, server: ScriptedServer
) -> None:
    """A rule without days is refused before anything is sent, and the error names it."""
    with pytest.raises(PrefactorRequestError, match="days"):
        await client.retention_policies.update({"rules": [{"agent_id": "a"}]})

    assert server.requests == []
