"""The answers to writes for callers that prefer a minimal one (RFC 7240, section 4.2)."""

from __future__ import annotations

import msgspec

from prefactor_server.api.views.agent_instance import InstanceWritten
from prefactor_server.api.views.agent_span import SpanWritten
from prefactor_server.api.views.base import ControlView, Success
from prefactor_server.commands.base import Control
from prefactor_server.domain.runs.agent_instance import InstanceStatus
from prefactor_server.domain.runs.agent_span import AgentSpan, SpanStatus


class MinimalDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a run or a span in a minimal answer."""

    id: str
    account_id: str
    status: InstanceStatus | SpanStatus


class MinimalWritten(Success[MinimalDetails], frozen=True, kw_only=True):
    """The minimal answer to a write of a run or a span, with the control signal, if any."""

    control: ControlView | msgspec.UnsetType = msgspec.UNSET


def minimal_span(span: AgentSpan, control: Control | None) -> MinimalWritten:
    """Return the minimal answer to a write of a span, without building the full one."""
    details = MinimalDetails(id=span.id, account_id=span.account_id, status=span.status)
    if control is None:
        return MinimalWritten(details=details)
    return MinimalWritten(details=details, control=ControlView(reason=control.reason))


def minimal(body: object) -> object:
    """Reduce the answer to a write of a run or a span, and return any other answer as it is."""
    if not isinstance(body, InstanceWritten | SpanWritten):
        return body
    full = body.details
    details = MinimalDetails(id=full.id, account_id=full.account_id, status=full.status)
    return MinimalWritten(details=details, control=body.control)
