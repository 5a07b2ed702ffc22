"""Checks evaluations against the quality schemas that their runs declared.

Like a span, a record is never rejected for a mismatch. The result is stored with the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from prefactor_server.validation.budget import Budget
from prefactor_server.validation.liquid.template import Template, render_summary
from prefactor_server.validation.span_types import SpanTypes


class QualityCheck(NamedTuple):
    """The result of checking one record. ``problem`` has the same meaning as in ``SpanCheck``."""

    problem: str | None
    summary: str | None


def check_quality(
    schemas: SpanTypes, name: str, payload: Mapping[str, object], budget: Budget
) -> QualityCheck:
    """Check a record against the quality schema of its name, and render its summary.

    Args:
        schemas: the quality schemas of the run's schema version, each stored as the parameters of a
            span type without a result.
        name: the name of the record; an undeclared name is accepted unchecked.
        payload: the recorded value.
        budget: the work that the request may still do.
    """
    schema = schemas.get(name)
    if schema is None:
        return QualityCheck(None, None)
    source = schema.template
    template = None if source is None else schemas.template(source, budget)
    return QualityCheck(
        schemas.params(schema, budget).check(payload, budget),
        render_summary(template, payload, None, budget) if isinstance(template, Template) else None,
    )
