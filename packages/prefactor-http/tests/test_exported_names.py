"""The exact list of public names, so that a change is deliberate."""

from __future__ import annotations

import importlib
from importlib.metadata import version

import pytest

import prefactor_http
from prefactor_http import endpoints, exceptions, models, testing

SINCE_THE_FIRST_RELEASE = {
    "AgentInstance",
    "AgentInstanceSpanCounts",
    "AgentSchemaVersionForRegister",
    "AgentSpan",
    "AgentStatus",
    "AgentVersionForRegister",
    "ApiResponse",
    "BulkItem",
    "BulkOutput",
    "BulkRequest",
    "BulkResponse",
    "FinishInstanceRequest",
    "FinishStatus",
    "HttpClientConfig",
    "PrefactorApiError",
    "PrefactorAuthError",
    "PrefactorClientError",
    "PrefactorHttpClient",
    "PrefactorHttpError",
    "PrefactorNotFoundError",
    "PrefactorResponseContractError",
    "PrefactorRetryExhaustedError",
    "PrefactorValidationError",
    "SpanTypeSchemaForCreate",
    "__version__",
}
ADDED_HERE = {
    "Account",
    "ActionProfile",
    "Agent",
    "AgentAvailableActions",
    "AgentDeployment",
    "AgentForCreate",
    "AgentForUpdate",
    "AgentInstanceCounts",
    "AgentInstanceFacets",
    "AgentInstanceRecordQuality",
    "AgentInstanceSkeleton",
    "AgentSchemaVersion",
    "AgentSummary",
    "AgentVersion",
    "Alert",
    "AlertCount",
    "AlertSchemaForCreate",
    "ApiToken",
    "AuditEntry",
    "CreatedApiToken",
    "DataCategories",
    "DataRisk",
    "Environment",
    "EventKind",
    "ExportFormat",
    "InstancePurpose",
    "LiveEvent",
    "Page",
    "PaginationOutput",
    "PrefactorConflictError",
    "PrefactorNetworkError",
    "PrefactorRateLimitError",
    "PrefactorRedirectError",
    "PrefactorRequestError",
    "PrefactorResponseTooLargeError",
    "PrefactorTimeoutError",
    "QualitySchemaForCreate",
    "RawResponse",
    "RequestOptions",
    "RiskProfile",
    "RiskProfileForUpdate",
    "RiskProfileTemplate",
    "RuntimeEnvironment",
    "Series",
    "Sorting",
    "Webhook",
    "WebhookDelivery",
    "WebhookForUpdate",
    "WebhookWithSecret",
    "is_permanent_http_error",
    "is_transient_http_error",
}


def test_top_level_names() -> None:
    """The package exports the published names, the additions, and nothing else."""
    assert set(prefactor_http.__all__) == SINCE_THE_FIRST_RELEASE | ADDED_HERE
    assert dir(prefactor_http) == prefactor_http.__all__


@pytest.mark.parametrize("module", [prefactor_http, models, endpoints, testing])
def test_names_are_sorted_and_importable(module: object) -> None:
    """Every name in `__all__` can be imported, and the list is in order."""
    names: list[str] = getattr(module, "__all__")  # noqa: B009 - not every module has one
    assert names == sorted(names, key=lambda name: (name.islower() or name[0] == "_", name))
    assert all(hasattr(module, name) for name in names)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The late import of models does not swallow misspelled names."""
    with pytest.raises(AttributeError, match="Agentt"):
        prefactor_http.Agentt  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("client", ["PrefactorHttpClient"]),
        ("config", ["HttpClientConfig"]),
        ("retry", ["RetryHandler"]),
        ("endpoints", ["AgentInstanceClient", "AgentSpanClient", "BulkClient"]),
        ("endpoints.agent_instance", ["AgentInstanceClient"]),
        ("endpoints.agent_span", ["AgentSpanClient"]),
        ("endpoints.bulk", ["BulkClient"]),
        (
            "models.agent_instance",
            [
                "SpanTypeSchemaForCreate",
                "AgentInstanceSpanCounts",
                "AgentVersionForRegister",
                "AgentSchemaVersionForRegister",
                "RegisterAgentInstanceRequest",
                "TimestampRequest",
                "FinishInstanceRequest",
                "AgentInstance",
            ],
        ),
        ("models.agent_span", ["CreateAgentSpanRequest", "FinishSpanRequest", "AgentSpan"]),
        (
            "models.base",
            [
                "ApiResponse",
                "ApiError",
                "DetailedApiError",
                "PaginationOutput",
                "Sorting",
                "ListResponse",
            ],
        ),
        ("models.bulk", ["BulkItem", "BulkRequest", "BulkOutput", "BulkResponse"]),
        ("models.types", ["AgentStatus", "FinishStatus"]),
    ],
)
def test_published_import_paths_work(module: str, names: list[str]) -> None:
    """Imports from the published package's modules keep working."""
    found = importlib.import_module(f"prefactor_http.{module}")
    assert [name for name in names if not hasattr(found, name)] == []


def test_version() -> None:
    """The version of the code is the version of the distribution."""
    assert prefactor_http.__version__ == version("prefactor-http")


def test_every_exception_is_exported() -> None:
    """Every exception that a caller may need to catch is exported at the top level."""
    raised = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, exceptions.PrefactorHttpError)
    }
    assert raised <= set(prefactor_http.__all__)
