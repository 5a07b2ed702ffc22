"""The objects of the API: what can be sent, and what comes back."""

from .account import Account
from .agent import (
    Agent,
    AgentAvailableActions,
    AgentForCreate,
    AgentForUpdate,
    AgentInstanceCounts,
    AgentSummary,
)
from .agent_deployment import AgentDeployment
from .agent_instance import (
    AgentInstance,
    AgentInstanceRecordQuality,
    AgentInstanceSpanCounts,
    AgentSchemaVersionForRegister,
    AgentVersionForRegister,
    FinishInstanceRequest,
)
from .agent_instance_skeleton import AgentInstanceSkeleton, SkeletonColumns, SkeletonSchema
from .agent_schema_version import (
    AgentSchemaVersion,
    QualitySchemaForCreate,
    SpanTypeSchemaForCreate,
)
from .agent_span import AgentSpan
from .agent_version import AgentVersion, RuntimeEnvironment
from .api_token import ApiToken, ApiTokenAvailableActions, CreatedApiToken
from .base import ApiResponse, PaginationOutput, Sorting
from .bulk import BulkItem, BulkOutput, BulkRequest, BulkResponse
from .environment import Environment
from .risk_profile import (
    ActionProfile,
    DataCategories,
    DataRisk,
    RiskProfile,
    RiskProfileForUpdate,
    RiskProfileTemplate,
)
from .types import AgentStatus, FinishStatus, InstancePurpose

__all__ = [
    "Account",
    "ActionProfile",
    "Agent",
    "AgentAvailableActions",
    "AgentDeployment",
    "AgentForCreate",
    "AgentForUpdate",
    "AgentInstance",
    "AgentInstanceCounts",
    "AgentInstanceRecordQuality",
    "AgentInstanceSkeleton",
    "AgentInstanceSpanCounts",
    "AgentSchemaVersion",
    "AgentSchemaVersionForRegister",
    "AgentSpan",
    "AgentStatus",
    "AgentSummary",
    "AgentVersion",
    "AgentVersionForRegister",
    "ApiResponse",
    "ApiToken",
    "ApiTokenAvailableActions",
    "BulkItem",
    "BulkOutput",
    "BulkRequest",
    "BulkResponse",
    "CreatedApiToken",
    "DataCategories",
    "DataRisk",
    "Environment",
    "FinishInstanceRequest",
    "FinishStatus",
    "InstancePurpose",
    "PaginationOutput",
    "QualitySchemaForCreate",
    "RiskProfile",
    "RiskProfileForUpdate",
    "RiskProfileTemplate",
    "RuntimeEnvironment",
    "SkeletonColumns",
    "SkeletonSchema",
    "Sorting",
    "SpanTypeSchemaForCreate",
]
