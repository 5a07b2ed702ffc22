"""Alerts about runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from prefactor_http.models.base import OpenWord, ReplyModel, RequestModel
from prefactor_http.models.types import AlertSeverity, AlertStatus


class RaiseAlertRequest(RequestModel):
    """Body of a raise. None leaves a field to the alert schema, or unchanged."""

    agent_instance_id: str
    name: str = Field(min_length=1)
    severity: AlertSeverity | None = None
    payload: dict[str, Any] | None = None


class ClearAlertRequest(RequestModel):
    """Body of a clear."""

    agent_instance_id: str
    name: str = Field(min_length=1)


class AlertSchemaForCreate(RequestModel):
    """One kind of alert. The schema is `schema_` here and `schema` on the wire."""

    name: str
    schema_: dict[str, Any] = Field(alias="schema")
    title: str | None = None
    description: str | None = None
    severity: AlertSeverity | None = None
    template: str | None = None


class Alert(ReplyModel):
    """An alert of a run. At most one of each name is raised at a time.

    `severity` is an `AlertSeverity` and `status` an `AlertStatus`. In a response, a word unknown to
    this version is kept.
    """

    type: Literal["alert"] = "alert"
    id: str
    account_id: str | None = None
    agent_id: str | None = None
    agent_instance_id: str | None = None
    environment_id: str | None = None
    name: str | None = None
    title: str | None = None
    severity: Annotated[str, OpenWord(AlertSeverity)] | None = None
    status: Annotated[str, OpenWord(AlertStatus)] | None = None
    raised_at: datetime | None = None
    cleared_at: datetime | None = None
    payload: dict[str, Any] | None = None
    payload_validation: dict[str, Any] | None = None
    """Whether the payload matches the alert schema; None if it was not checked."""
    summary: str | None = None
    version: int | None = None
    """The number of its changes, from 1."""
    kind: str | None = None
    """The name that older servers give an alert that they raised themselves."""
    at: datetime | None = None
    """The same as `raised_at`, for older servers."""
    termination_reason: str | None = None
    risk_score: float | None = None
    risk_level: str | None = None
    agreed_risk: str | None = None


class AlertCount(ReplyModel):
    """The number of alerts; if `complete` is False, there may be more."""

    count: int
    complete: bool = True
    behind_seconds: float | None = None
    """The age of the oldest commit that the server's own alerts do not reflect yet."""
