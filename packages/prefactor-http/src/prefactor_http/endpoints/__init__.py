"""The resource clients: one module per noun of the API."""

from .account import AccountClient
from .agent import AgentClient
from .agent_deployment import AgentDeploymentClient
from .agent_instance import AgentInstanceClient
from .agent_schema_version import AgentSchemaVersionClient
from .agent_span import AgentSpanClient
from .agent_version import AgentVersionClient
from .api_token import ApiTokenClient
from .bulk import BulkClient
from .environment import EnvironmentClient
from .risk_profile import RiskProfileClient

__all__ = [
    "AccountClient",
    "AgentClient",
    "AgentDeploymentClient",
    "AgentInstanceClient",
    "AgentSchemaVersionClient",
    "AgentSpanClient",
    "AgentVersionClient",
    "ApiTokenClient",
    "BulkClient",
    "EnvironmentClient",
    "RiskProfileClient",
]
