"""The order of retention rules, and which runs are too old for them."""

from itertools import product

import pytest

from prefactor_server.domain.runs.retention import EndedRun
from prefactor_server.domain.runs.retention_policy import (
    RetentionRule,
    RetentionRules,
    no_policy,
    read_rules,
    rules_document,
)
from prefactor_server.domain.times import DAY_US

NOW = 1000 * DAY_US
EVERY_SCOPE = [
    RetentionRule(days, *scope)
    for days, scope in enumerate(product((None, "a"), (None, "e"), (None, "eval")), 1)
]


def run(agent: str = "a", environment: str = "e", purpose: str = "eval", days: int = 5) -> EndedRun:
    """A run that ended some days ago."""
    return EndedRun("run", agent, environment, purpose, NOW - days * DAY_US, 3, is_held=False)


def test_the_most_specific_rule_wins() -> None:
    """A rule for an agent beats one for an environment, which beats one for a purpose."""
    left = [*EVERY_SCOPE]
    order = []
    while left:
        rule = RetentionRules(left).rule_for(run())
        assert rule == RetentionRules(left[::-1]).rule_for(run())
        assert rule is not None
        order.append(rule.scope)
        left.remove(rule)

    assert order == [
        ("a", "e", "eval"),
        ("a", "e", None),
        ("a", None, "eval"),
        ("a", None, None),
        (None, "e", "eval"),
        (None, "e", None),
        (None, None, "eval"),
        (None, None, None),
    ]


@pytest.mark.parametrize(
    ("other", "scope"),
    [
        (run(agent="b"), (None, "e", "eval")),
        (run(environment="f"), ("a", None, "eval")),
        (run(purpose="live"), ("a", "e", None)),
        (run("b", "f", "live"), (None, None, None)),
    ],
)
def test_a_rule_applies_to_the_runs_that_it_names(
    other: EndedRun, scope: tuple[str | None, ...]
) -> None:
    """A rule applies only to runs of the agent, environment and purpose that it names."""
    rule = RetentionRules(EVERY_SCOPE).rule_for(other)
    assert rule is not None
    assert rule.scope == scope


def test_a_run_expires_after_its_days() -> None:
    """A run expires when its end is longer ago than the days of its rule."""
    rules = RetentionRules([RetentionRule(5)])
    ended = run()

    assert rules.expired_rule(ended, NOW) is None
    assert rules.expired_rule(ended, NOW + 1) == RetentionRule(5)


def test_a_run_without_a_rule_is_kept() -> None:
    """A run without a rule, or under a rule without days, is kept forever."""
    old = run(days=900)
    kept = RetentionRules([RetentionRule(1), RetentionRule(None, purpose="eval")])

    assert RetentionRules([]).expired_rule(old, NOW) is None
    assert RetentionRules([RetentionRule(1, agent_id="b")]).expired_rule(old, NOW) is None
    assert kept.expired_rule(old, NOW) is None
    assert kept.expired_rule(run(purpose="live", days=900), NOW) == RetentionRule(1)


def test_only_runs_over_the_shortest_age_are_read() -> None:
    """Runs younger than the shortest rule are not read, and none are without days."""
    rules = [RetentionRule(30), RetentionRule(7, purpose="eval"), RetentionRule(None, "a")]

    assert RetentionRules(rules).ended_before(NOW) == NOW - 7 * DAY_US
    assert RetentionRules(rules[2:]).ended_before(NOW) is None


def test_a_policy_is_stored_as_it_was_given() -> None:
    """Rules are read back in the stored order, and the audit log describes them."""
    rules = [*EVERY_SCOPE, RetentionRule(None, "b")]
    policy = no_policy("account")._replace(rules=rules_document(rules[-2:]), audit_days=365)

    assert read_rules(rules_document(rules)) == rules
    assert str(policy) == (
        "agent a, environment e, purpose eval, kept 8 days; agent b, kept forever; "
        "audit log, kept 365 days"
    )
    assert str(no_policy("account")) == "no rules; audit log, kept forever"
