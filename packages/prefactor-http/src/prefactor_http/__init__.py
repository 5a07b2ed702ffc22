"""A typed, asynchronous client of the Prefactor API.

The models are imported on first use. Defining them takes a third of the time of importing aiohttp
and pydantic, and not every program that imports a client uses the API.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from prefactor_http._options import RequestOptions
from prefactor_http._transport.responses import RawResponse
from prefactor_http._version import __version__
from prefactor_http.client import PrefactorHttpClient
from prefactor_http.config import HttpClientConfig
from prefactor_http.exceptions import (
    PrefactorApiError,
    PrefactorAuthError,
    PrefactorClientError,
    PrefactorConflictError,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorNotFoundError,
    PrefactorRateLimitError,
    PrefactorRedirectError,
    PrefactorRequestError,
    PrefactorResponseContractError,
    PrefactorResponseTooLargeError,
    PrefactorRetryExhaustedError,
    PrefactorTimeoutError,
    PrefactorValidationError,
    is_permanent_http_error,
    is_transient_http_error,
)
from prefactor_http.pages import Page

if TYPE_CHECKING:
    from prefactor_http.models import (
        Account,
        ActionProfile,
        Agent,
        AgentAvailableActions,
        AgentDeployment,
        AgentForCreate,
        AgentForUpdate,
        AgentInstance,
        AgentInstanceCounts,
        AgentInstanceFacets,
        AgentInstanceRecordQuality,
        AgentInstanceSkeleton,
        AgentInstanceSpanCounts,
        AgentSchemaVersion,
        AgentSchemaVersionForRegister,
        AgentSpan,
        AgentStatus,
        AgentSummary,
        AgentVersion,
        AgentVersionForRegister,
        Alert,
        AlertCount,
        AlertSchemaForCreate,
        ApiResponse,
        ApiToken,
        AuditEntry,
        BulkItem,
        BulkOutput,
        BulkRequest,
        BulkResponse,
        CreatedApiToken,
        DataCategories,
        DataRisk,
        Environment,
        EventKind,
        ExportFormat,
        FinishInstanceRequest,
        FinishStatus,
        InstancePurpose,
        LiveEvent,
        PaginationOutput,
        QualitySchemaForCreate,
        RiskProfile,
        RiskProfileForUpdate,
        RiskProfileTemplate,
        RuntimeEnvironment,
        Series,
        Sorting,
        SpanTypeSchemaForCreate,
        Webhook,
        WebhookDelivery,
        WebhookForUpdate,
        WebhookWithSecret,
    )

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
    "AuditEntry",
    "BulkItem",
    "BulkOutput",
    "BulkRequest",
    "BulkResponse",
    "CreatedApiToken",
    "DataCategories",
    "DataRisk",
    "Environment",
    "EventKind",
    "ExportFormat",
    "FinishInstanceRequest",
    "FinishStatus",
    "HttpClientConfig",
    "InstancePurpose",
    "LiveEvent",
    "Page",
    "PaginationOutput",
    "PrefactorApiError",
    "PrefactorAuthError",
    "PrefactorClientError",
    "PrefactorConflictError",
    "PrefactorHttpClient",
    "PrefactorHttpError",
    "PrefactorNetworkError",
    "PrefactorNotFoundError",
    "PrefactorRateLimitError",
    "PrefactorRedirectError",
    "PrefactorRequestError",
    "PrefactorResponseContractError",
    "PrefactorResponseTooLargeError",
    "PrefactorRetryExhaustedError",
    "PrefactorTimeoutError",
    "PrefactorValidationError",
    "QualitySchemaForCreate",
    "RawResponse",
    "RequestOptions",
    "RiskProfile",
    "RiskProfileForUpdate",
    "RiskProfileTemplate",
    "RuntimeEnvironment",
    "Series",
    "Sorting",
    "SpanTypeSchemaForCreate",
    "Webhook",
    "WebhookDelivery",
    "WebhookForUpdate",
    "WebhookWithSecret",
    "__version__",
    "is_permanent_http_error",
    "is_transient_http_error",
]


def __getattr__(name: str) -> Any:
    """Import an exported name from the models on first use."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    globals()[name] = value = getattr(import_module(".models", __name__), name)
    return value


def __dir__() -> list[str]:
    """Return the exported names, imported or not."""
    return __all__
