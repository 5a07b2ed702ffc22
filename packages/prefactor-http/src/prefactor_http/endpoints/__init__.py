"""The resource clients: one module per noun of the API."""

from prefactor_http.endpoints.account import AccountClient
from prefactor_http.endpoints.admin_user import AdminUserClient
from prefactor_http.endpoints.admin_user_invite import AdminUserInviteClient
from prefactor_http.endpoints.agent import AgentClient
from prefactor_http.endpoints.agent_deployment import AgentDeploymentClient
from prefactor_http.endpoints.agent_instance import AgentInstanceClient
from prefactor_http.endpoints.agent_schema_version import AgentSchemaVersionClient
from prefactor_http.endpoints.agent_span import AgentSpanClient
from prefactor_http.endpoints.agent_version import AgentVersionClient
from prefactor_http.endpoints.alert import AlertClient
from prefactor_http.endpoints.api_token import ApiTokenClient
from prefactor_http.endpoints.audit import AuditClient
from prefactor_http.endpoints.bulk import BulkClient
from prefactor_http.endpoints.environment import EnvironmentClient
from prefactor_http.endpoints.retention_policy import RetentionPolicyClient
from prefactor_http.endpoints.risk_profile import RiskProfileClient
from prefactor_http.endpoints.server import ServerClient
from prefactor_http.endpoints.session import SessionClient
from prefactor_http.endpoints.webhook import WebhookClient, WebhookDeliveryClient

__all__ = [
    "AccountClient",
    "AdminUserClient",
    "AdminUserInviteClient",
    "AgentClient",
    "AgentDeploymentClient",
    "AgentInstanceClient",
    "AgentSchemaVersionClient",
    "AgentSpanClient",
    "AgentVersionClient",
    "AlertClient",
    "ApiTokenClient",
    "AuditClient",
    "BulkClient",
    "EnvironmentClient",
    "RetentionPolicyClient",
    "RiskProfileClient",
    "ServerClient",
    "SessionClient",
    "WebhookClient",
    "WebhookDeliveryClient",
]
