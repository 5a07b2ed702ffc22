"""Every operation of the API. A new noun gets a file of its own and a line here."""

from __future__ import annotations

from typing import Final

from prefactor_server.api.endpoints import (
    account,
    agent,
    agent_context,
    agent_deployment,
    agent_schema_version,
    agent_version,
    api_token,
    environment,
    event,
    pfid,
    ping,
    price,
    risk_profile,
    risk_profile_preview,
    series,
    server,
)
from prefactor_server.api.endpoints.bulk import bulk_operation
from prefactor_server.api.endpoints.otlp import operations as otlp
from prefactor_server.api.endpoints.people import (
    admin_user,
    admin_user_invite,
    admin_user_invite_accept,
    audit,
    openid,
    session,
)
from prefactor_server.api.endpoints.runs import (
    agent_instance,
    agent_instance_export,
    agent_instance_facets,
    agent_instance_heartbeat,
    agent_instance_register,
    agent_instance_skeleton,
    agent_instance_terminate_many,
    agent_span,
    agent_span_discard,
    agent_span_read,
    alert,
    alert_write,
    metadata,
    quality,
    retention_policy,
    sample_span,
)
from prefactor_server.api.endpoints.webhooks import webhook, webhook_delivery
from prefactor_server.api.kernel.openapi import openapi_operation
from prefactor_server.api.kernel.operation import Operation, PureOperation, Read, Write

ITEMS: Final[tuple[Read | Write | PureOperation, ...]] = (
    *ping.OPERATIONS,
    *account.OPERATIONS,
    *environment.OPERATIONS,
    *api_token.OPERATIONS,
    *agent.OPERATIONS,
    *agent_deployment.OPERATIONS,
    *agent_version.OPERATIONS,
    *agent_schema_version.OPERATIONS,
    *agent_instance_register.OPERATIONS,
    *agent_instance.OPERATIONS,
    *agent_instance_facets.OPERATIONS,
    *quality.OPERATIONS,
    *metadata.OPERATIONS,
    *agent_context.OPERATIONS,
    *agent_span.OPERATIONS,
    *agent_span_read.OPERATIONS,
    *agent_span_discard.OPERATIONS,
    *sample_span.OPERATIONS,
    *risk_profile.OPERATIONS,
    *risk_profile_preview.OPERATIONS,
    *price.OPERATIONS,
    *alert.OPERATIONS,
    *alert_write.OPERATIONS,
    *webhook.OPERATIONS,
    *webhook_delivery.ITEMS,
    *retention_policy.OPERATIONS,
    *pfid.OPERATIONS,
    *audit.OPERATIONS,
    *server.OPERATIONS,
    *admin_user.OPERATIONS,
    *admin_user_invite.OPERATIONS,
    *session.ITEMS,
)
"""The operations that may be items of a bulk request."""

_OTHERS: Final[tuple[Operation, ...]] = (
    *agent_instance_skeleton.OPERATIONS,
    *agent_instance_export.OPERATIONS,
    *agent_instance_heartbeat.OPERATIONS,
    *agent_instance_terminate_many.OPERATIONS,
    *event.OPERATIONS,
    *admin_user_invite_accept.OPERATIONS,
    *session.OTHERS,
    *openid.OPERATIONS,
    *webhook_delivery.OTHERS,
    *series.OPERATIONS,
    *otlp.OPERATIONS,
    bulk_operation(ITEMS),
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *ITEMS,
    *_OTHERS,
    openapi_operation((*ITEMS, *_OTHERS)),
)
"""All operations."""
