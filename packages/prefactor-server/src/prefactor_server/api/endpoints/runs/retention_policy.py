"""The retention policy: show and change it, and preview what it would delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from prefactor_server.api.kernel.decode import read_strict_body
from prefactor_server.api.kernel.fields import Name, Timestamp
from prefactor_server.api.kernel.operation import (
    Call,
    Example,
    Prepared,
    PureOperation,
    Read,
    Write,
)
from prefactor_server.api.views.base import Success, show_time, written
from prefactor_server.commands.runs.retention_policy import UpdateRetentionPolicy, resolve_agents
from prefactor_server.domain.errors import (
    IdempotencyKeyUsed,
    InvalidAction,
    ValidationFailed,
    invalid,
)
from prefactor_server.domain.runs.agent_instance import Purpose
from prefactor_server.domain.runs.retention_policy import (
    MAX_DAYS,
    MAX_RULES,
    MIN_AUDIT_DAYS,
    RetentionPolicy,
    RetentionRule,
    RetentionRules,
    read_rules,
)
from prefactor_server.queries.runs.retention_policy import MAX_EXAMINED

Days: TypeAlias = Annotated[
    int,
    Meta(ge=1, le=MAX_DAYS, description=f"must be 1 to {MAX_DAYS} days, or null for forever."),
]
AuditDays: TypeAlias = Annotated[
    int,
    Meta(
        ge=MIN_AUDIT_DAYS,
        le=MAX_DAYS,
        description=f"must be {MIN_AUDIT_DAYS} to {MAX_DAYS} days, or null for forever.",
    ),
]


class RetentionRuleFields(msgspec.Struct, kw_only=True):
    """How long some runs are kept after their end. A missing or null filter matches everything."""

    days: Days | None
    agent_id: Name | None = None
    environment_id: Name | None = None
    purpose: Purpose | None = None


Rules: TypeAlias = Annotated[
    list[RetentionRuleFields],
    Meta(
        description=f"must be at most {MAX_RULES} rules with different filters.",
        extra_json_schema={"maxItems": MAX_RULES},
    ),
]


class RetentionPolicyFields(msgspec.Struct, kw_only=True):
    """The fields of the policy to change; missing ones stay. ``rules`` replace all rules.

    ``previous_updated_at`` is the ``updated_at`` that the change is based on. If the policy has
    another one by now, nothing changes.
    """

    rules: Rules | None = None
    audit_days: AuditDays | msgspec.UnsetType | None = msgspec.UNSET
    previous_updated_at: Timestamp | msgspec.UnsetType | None = msgspec.UNSET


class PreviewRetentionPolicyFields(msgspec.Struct, kw_only=True):
    """The rules to preview, by default those of the policy."""

    rules: Rules | None = None


class RetentionRuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule. A null filter matches everything, and null days keep runs forever."""

    days: int | None
    agent_id: str | None
    environment_id: str | None
    purpose: Purpose | None


class RetentionPolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """The retention policy of an account, its most specific rules first.

    A run follows the first rule that matches it. ``audit_days`` is how long the audit log is kept,
    null for forever. ``updated_at`` is null if nobody has changed the policy.
    """

    type: Literal["retention_policy"] = "retention_policy"
    id: str
    account_id: str
    rules: Sequence[RetentionRuleView]
    audit_days: int | None
    updated_at: str | None


class DueRunsView(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would delete now. ``held_runs`` are kept only because of a legal hold."""

    rule: RetentionRuleView
    runs: int
    spans: int
    held_runs: int


class RetentionPreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """What rules would delete now, in the order of the policy.

    ``is_complete`` is false if there were too many old runs to count them all. All numbers are
    lower bounds then.
    """

    type: Literal["retention_preview"] = "retention_preview"
    rules: Sequence[DueRunsView]
    is_complete: bool


async def _prepare_update(call: Call, body: RetentionPolicyFields) -> Prepared:
    rules = None if body.rules is None else _rules(body.rules)
    sets_audit_days = body.audit_days is not msgspec.UNSET
    audit_days = None if body.audit_days is msgspec.UNSET else body.audit_days
    command = UpdateRetentionPolicy(call.request(), rules, audit_days, sets_audit_days)
    if body.previous_updated_at is not msgspec.UNSET:
        command = command._replace(
            is_conditional=True, previous_updated_at=body.previous_updated_at
        )
    return Prepared(command, _written)


async def _show(call: Call, policy_id: str) -> Success[RetentionPolicyView]:
    del policy_id
    return await _get(call)


async def _get(call: Call) -> Success[RetentionPolicyView]:
    return Success(
        details=_view(await call.services.reader.retention_policies.show(call.principal))
    )


async def _preview(call: Call, document: bytes) -> Success[RetentionPreviewView]:
    body = read_strict_body(document, PreviewRetentionPolicyFields, RetentionPolicyView, _ENVELOPE)
    policies, principal = call.services.reader.retention_policies, call.principal
    rules = read_rules((await policies.show(principal)).rules)
    if body.rules is not None:
        requested = _rules(body.rules)
        named = await policies.named(principal, requested)
        rules = resolve_agents(requested, named, rules)
    preview = await policies.preview(principal, RetentionRules(rules), call.now)
    return Success(
        details=RetentionPreviewView(
            rules=[
                DueRunsView(
                    rule=_rule_view(due.rule),
                    runs=due.runs,
                    spans=due.spans,
                    held_runs=due.held_runs,
                )
                for due in preview.rules
            ],
            is_complete=preview.is_complete,
        )
    )


def _rules(fields: Sequence[RetentionRuleFields]) -> Sequence[RetentionRule]:
    if len(fields) > MAX_RULES:
        raise invalid("rules", f"must be at most {MAX_RULES} rules, got {len(fields)}")
    return [
        RetentionRule(rule.days, rule.agent_id, rule.environment_id, rule.purpose)
        for rule in fields
    ]


def _view(policy: RetentionPolicy) -> RetentionPolicyView:
    return RetentionPolicyView(
        id=policy.id,
        account_id=policy.account_id,
        rules=[_rule_view(rule) for rule in RetentionRules(read_rules(policy.rules)).rules],
        audit_days=policy.audit_days,
        updated_at=show_time(policy.updated_at) if policy.updated_at else None,
    )


_written = written(RetentionPolicy, _view)


def _rule_view(rule: RetentionRule) -> RetentionRuleView:
    return RetentionRuleView(**rule._asdict())


_PATH: Final = "/api/v1/retention_policy"
_ENVELOPE: Final = frozenset({"_type", "idempotency_key"})
_ONE: Final[dict[str, Any]] = {"access": "account", "right": "administer"}
_RULES: Final = [
    {"days": 90},
    {"days": 7, "purpose": "smoke_test"},
    {"days": None, "environment_id": "production"},
]

OPERATIONS = (
    Read(
        **_ONE,
        name="retention_policies.show",
        method="GET",
        path=_PATH,
        summary="Show how long runs are kept",
        description="An account that never changed its policy has no rules, so nothing is deleted.",
        reply=Success[RetentionPolicyView],
        answer=_get,
    ),
    Write(
        **_ONE,
        name="retention_policies.update",
        method="PUT",
        path=_PATH,
        summary="Change how long runs are kept",
        description=(
            "The server deletes a run when the days of the most specific rule that matches it have "
            "passed since its end: a rule with an agent comes before one without, then one with an "
            "environment, then one with a purpose. Runs that no rule matches are kept forever, and "
            "so are runs on legal hold. With `previous_updated_at`, a policy that somebody "
            "else has changed since is left as it is."
        ),
        reply=Success[RetentionPolicyView],
        refusals=(InvalidAction, IdempotencyKeyUsed, ValidationFailed),
        body=RetentionPolicyFields,
        wrapped=True,
        prepare=_prepare_update,
        show=_show,
        examples=(
            Example("Days by purpose and environment", {"details": {"rules": _RULES}}),
            Example("The audit log for a year", {"details": {"audit_days": 365}}),
        ),
    ),
    PureOperation(
        **_ONE,
        name="retention_policies.preview",
        method="POST",
        path=f"{_PATH}/preview",
        summary="Preview what would be deleted",
        description=(
            "Counts the runs that the rules of the policy, or those in the request, would delete "
            f"now, up to {MAX_EXAMINED} old runs. Nothing is stored."
        ),
        reply=Success[RetentionPreviewView],
        refusals=(ValidationFailed,),
        body=PreviewRetentionPolicyFields,
        answer=_preview,
        examples=(Example("Everything after a month", {"rules": [{"days": 30}]}),),
    ),
)
