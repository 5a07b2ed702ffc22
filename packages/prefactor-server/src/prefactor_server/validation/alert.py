"""Checks alerts against the alert schemas that their runs declared.

Like a span, an alert is never rejected for a mismatch. The result is stored with the alert.
"""

from __future__ import annotations

from collections.abc import Mapping

from prefactor_server.domain.runs.alert import AlertFacts, AlertSeverity, declared_severity
from prefactor_server.validation.budget import Budget
from prefactor_server.validation.quality import check_quality
from prefactor_server.validation.span_types import SpanTypes


def check_alert(
    schemas: SpanTypes,
    name: str,
    severity: AlertSeverity | None,
    *,
    payload: Mapping[str, object],
    document: bytes | None,
    budget: Budget,
) -> AlertFacts:
    """Check an alert against the alert schema of its name, and render its summary.

    Args:
        schemas: the alert schemas of the run's schema version, each stored as the parameters of a
            span type without a result.
        name: the name of the alert; an undeclared name is accepted unchecked.
        severity: the severity in the request, or None.
        payload: the payload in the request; empty without one.
        document: the payload as JSON, or None without one.
        budget: the work that the request may still do.
    """
    check = check_quality(schemas, name, payload, budget)
    schema = schemas.get(name)
    return AlertFacts(
        title=name if schema is None else schema.title,
        severity=severity,
        declared_severity=declared_severity(None if schema is None else schema.severity),
        payload=document,
        problem=check.problem,
        summary=check.summary,
    )
