"""The retention policy: how long runs are kept, and what it would delete."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from prefactor_http.models.base import ReplyModel, RequestModel


class RetentionRuleForUpdate(RequestModel):
    """A rule; a missing filter matches everything, and `days` of None keeps runs forever."""

    days: int | None
    agent_id: str | None = None
    """An agent's id or external identifier."""
    environment_id: str | None = None
    purpose: str | None = None

    def to_body(self) -> dict[str, Any]:
        """Return only the fields that were set, including those set to None."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class RetentionPolicyForUpdate(RequestModel):
    """Changes to a retention policy. Omitted fields do not change; `rules` replaces all rules."""

    rules: list[RetentionRuleForUpdate] | None = None
    audit_days: int | None = None
    previous_updated_at: datetime | None = None
    """The `updated_at` that the change is based on. The server rejects any other."""

    def to_body(self) -> dict[str, Any]:
        """Return only the fields that were set, including those set to None."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class RetentionRule(ReplyModel):
    """A rule; a filter of None matches everything."""

    days: int | None
    """How many days after their end runs are deleted; None for never."""
    agent_id: str | None = None
    environment_id: str | None = None
    purpose: str | None = None


class RetentionPolicy(ReplyModel):
    """How long an account keeps its runs and its audit log."""

    type: Literal["retention_policy"] = "retention_policy"
    id: str
    account_id: str | None = None
    rules: tuple[RetentionRule, ...] = ()
    """The most specific first; a run follows the first that matches it."""
    audit_days: int | None = None
    """None keeps the audit log forever."""
    updated_at: datetime | None = None
    """None if the policy was never changed."""


class DueRuns(ReplyModel):
    """What a rule would delete now."""

    rule: RetentionRule
    runs: int
    spans: int
    held_runs: int = 0
    """The runs that only a legal hold keeps."""


class RetentionPreview(ReplyModel):
    """What rules would delete now."""

    type: Literal["retention_preview"] = "retention_preview"
    rules: tuple[DueRuns, ...] = ()
    is_complete: bool
    """False if there were too many old runs to count; the numbers are lower bounds then."""
