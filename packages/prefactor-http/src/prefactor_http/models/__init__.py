"""The objects of the API, in requests and responses."""

from prefactor_http.models.account import Account
from prefactor_http.models.admin_user import AdminUser
from prefactor_http.models.admin_user_invite import AdminUserInvite, Invitation
from prefactor_http.models.agent import (
    Agent,
    AgentAvailableActions,
    AgentForCreate,
    AgentForUpdate,
    AgentInstanceCounts,
    AgentSummary,
)
from prefactor_http.models.agent_deployment import AgentDeployment
from prefactor_http.models.agent_instance import (
    AgentInstance,
    AgentInstanceRecordQuality,
    AgentInstanceSpanCounts,
    AgentSchemaVersionForRegister,
    AgentVersionForRegister,
    FinishInstanceRequest,
    Heartbeat,
    HeartbeatControl,
    RunTerminations,
    SearchMatch,
    SkippedRun,
)
from prefactor_http.models.agent_instance_facets import (
    AgentInstanceFacets,
    DerivedState,
    Facet,
    FacetValue,
    MetadataFacets,
    SearchState,
)
from prefactor_http.models.agent_instance_skeleton import (
    AgentInstanceSkeleton,
    SkeletonColumns,
    SkeletonSchema,
)
from prefactor_http.models.agent_schema_version import (
    AgentSchemaVersion,
    QualitySchemaForCreate,
    SpanTypeSchemaForCreate,
)
from prefactor_http.models.agent_span import AgentSpan
from prefactor_http.models.agent_version import AgentVersion, RuntimeEnvironment
from prefactor_http.models.alert import Alert, AlertCount, AlertSchemaForCreate
from prefactor_http.models.api_token import ApiToken, ApiTokenAvailableActions, CreatedApiToken
from prefactor_http.models.audit import AuditEntry
from prefactor_http.models.base import ApiResponse, PaginationOutput, Sorting
from prefactor_http.models.bulk import BulkItem, BulkOutput, BulkRequest, BulkResponse
from prefactor_http.models.environment import Environment
from prefactor_http.models.event import EventKind, LiveEvent
from prefactor_http.models.risk_profile import (
    ActionProfile,
    DataCategories,
    DataRisk,
    PreviewedRun,
    RiskProfile,
    RiskProfileForUpdate,
    RiskProfilePreview,
    RiskProfileTemplate,
    RiskScore,
)
from prefactor_http.models.series import (
    ModelSeries,
    OverallDurations,
    RunSeries,
    Series,
    SeriesDurations,
    SpanTypeSeries,
)
from prefactor_http.models.server import (
    Limited,
    ModelPrice,
    Price,
    PriceTable,
    Server,
    ServerConsumer,
    ServerDatabase,
    ServerFeed,
    ServerQueue,
    ServerRequests,
)
from prefactor_http.models.session import (
    Caller,
    OpenIdMethod,
    OpenIdStart,
    Session,
    SignedIn,
    SignInMethods,
)
from prefactor_http.models.types import AgentStatus, ExportFormat, FinishStatus, InstancePurpose
from prefactor_http.models.webhook import (
    Webhook,
    WebhookDelivery,
    WebhookForUpdate,
    WebhookWithSecret,
)

__all__ = [
    "Account",
    "ActionProfile",
    "AdminUser",
    "AdminUserInvite",
    "Agent",
    "AgentAvailableActions",
    "AgentDeployment",
    "AgentForCreate",
    "AgentForUpdate",
    "AgentInstance",
    "AgentInstanceCounts",
    "AgentInstanceFacets",
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
    "Alert",
    "AlertCount",
    "AlertSchemaForCreate",
    "ApiResponse",
    "ApiToken",
    "ApiTokenAvailableActions",
    "AuditEntry",
    "BulkItem",
    "BulkOutput",
    "BulkRequest",
    "BulkResponse",
    "Caller",
    "CreatedApiToken",
    "DataCategories",
    "DataRisk",
    "DerivedState",
    "Environment",
    "EventKind",
    "ExportFormat",
    "Facet",
    "FacetValue",
    "FinishInstanceRequest",
    "FinishStatus",
    "Heartbeat",
    "HeartbeatControl",
    "InstancePurpose",
    "Invitation",
    "Limited",
    "LiveEvent",
    "MetadataFacets",
    "ModelPrice",
    "ModelSeries",
    "OpenIdMethod",
    "OpenIdStart",
    "OverallDurations",
    "PaginationOutput",
    "PreviewedRun",
    "Price",
    "PriceTable",
    "QualitySchemaForCreate",
    "RiskProfile",
    "RiskProfileForUpdate",
    "RiskProfilePreview",
    "RiskProfileTemplate",
    "RiskScore",
    "RunSeries",
    "RunTerminations",
    "RuntimeEnvironment",
    "SearchMatch",
    "SearchState",
    "Series",
    "SeriesDurations",
    "Server",
    "ServerConsumer",
    "ServerDatabase",
    "ServerFeed",
    "ServerQueue",
    "ServerRequests",
    "Session",
    "SignInMethods",
    "SignedIn",
    "SkeletonColumns",
    "SkeletonSchema",
    "SkippedRun",
    "Sorting",
    "SpanTypeSchemaForCreate",
    "SpanTypeSeries",
    "Webhook",
    "WebhookDelivery",
    "WebhookForUpdate",
    "WebhookWithSecret",
]
