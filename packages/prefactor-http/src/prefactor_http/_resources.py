"""The resource clients of the API as properties, each imported and created on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefactor_http import endpoints
    from prefactor_http.endpoints._base import HttpClient


class Resources:
    """Base of the HTTP client: its resource clients, one per noun."""

    @cached_property
    def accounts(self: HttpClient) -> endpoints.AccountClient:
        """Accounts: read and rename them."""
        from prefactor_http.endpoints import AccountClient  # noqa: PLC0415

        return AccountClient(self)

    @cached_property
    def admin_users(self: HttpClient) -> endpoints.AdminUserClient:
        """The people of an account: read them, change their roles, remove them."""
        from prefactor_http.endpoints import AdminUserClient  # noqa: PLC0415

        return AdminUserClient(self)

    @cached_property
    def admin_user_invites(self: HttpClient) -> endpoints.AdminUserInviteClient:
        """Invitations of people: send, look up, accept, revoke."""
        from prefactor_http.endpoints import AdminUserInviteClient  # noqa: PLC0415

        return AdminUserInviteClient(self)

    @cached_property
    def agents(self: HttpClient) -> endpoints.AgentClient:
        """Agents: create, find, change, retire."""
        from prefactor_http.endpoints import AgentClient  # noqa: PLC0415

        return AgentClient(self)

    @cached_property
    def agent_deployments(self: HttpClient) -> endpoints.AgentDeploymentClient:
        """The current version of an agent in an environment."""
        from prefactor_http.endpoints import AgentDeploymentClient  # noqa: PLC0415

        return AgentDeploymentClient(self)

    @cached_property
    def agent_instances(self: HttpClient) -> endpoints.AgentInstanceClient:
        """Runs: register, start, finish, find, evaluate, terminate."""
        from prefactor_http.endpoints import AgentInstanceClient  # noqa: PLC0415

        return AgentInstanceClient(self)

    @cached_property
    def agent_schema_versions(self: HttpClient) -> endpoints.AgentSchemaVersionClient:
        """The kinds of spans and quality records that an agent sends."""
        from prefactor_http.endpoints import AgentSchemaVersionClient  # noqa: PLC0415

        return AgentSchemaVersionClient(self)

    @cached_property
    def agent_spans(self: HttpClient) -> endpoints.AgentSpanClient:
        """The steps of runs: create, finish, read."""
        from prefactor_http.endpoints import AgentSpanClient  # noqa: PLC0415

        return AgentSpanClient(self)

    @cached_property
    def agent_versions(self: HttpClient) -> endpoints.AgentVersionClient:
        """Versions of agents, with their schemas."""
        from prefactor_http.endpoints import AgentVersionClient  # noqa: PLC0415

        return AgentVersionClient(self)

    @cached_property
    def api_tokens(self: HttpClient) -> endpoints.ApiTokenClient:
        """Tokens: create, suspend, revoke."""
        from prefactor_http.endpoints import ApiTokenClient  # noqa: PLC0415

        return ApiTokenClient(self)

    @cached_property
    def bulk(self: HttpClient) -> endpoints.BulkClient:
        """Several operations in one round trip."""
        from prefactor_http.endpoints import BulkClient  # noqa: PLC0415

        return BulkClient(self)

    @cached_property
    def environments(self: HttpClient) -> endpoints.EnvironmentClient:
        """Where agents run."""
        from prefactor_http.endpoints import EnvironmentClient  # noqa: PLC0415

        return EnvironmentClient(self)

    @cached_property
    def retention_policies(self: HttpClient) -> endpoints.RetentionPolicyClient:
        """How long runs are kept."""
        from prefactor_http.endpoints import RetentionPolicyClient  # noqa: PLC0415

        return RetentionPolicyClient(self)

    @cached_property
    def risk_profiles(self: HttpClient) -> endpoints.RiskProfileClient:
        """How an account weighs data and actions."""
        from prefactor_http.endpoints import RiskProfileClient  # noqa: PLC0415

        return RiskProfileClient(self)

    @cached_property
    def alerts(self: HttpClient) -> endpoints.AlertClient:
        """Alerts about runs."""
        from prefactor_http.endpoints import AlertClient  # noqa: PLC0415

        return AlertClient(self)

    @cached_property
    def sessions(self: HttpClient) -> endpoints.SessionClient:
        """Sessions: the caller, signing in and out, passwords."""
        from prefactor_http.endpoints import SessionClient  # noqa: PLC0415

        return SessionClient(self)

    @cached_property
    def audit(self: HttpClient) -> endpoints.AuditClient:
        """The actions of operators."""
        from prefactor_http.endpoints import AuditClient  # noqa: PLC0415

        return AuditClient(self)

    @cached_property
    def webhooks(self: HttpClient) -> endpoints.WebhookClient:
        """Webhooks, which receive events."""
        from prefactor_http.endpoints import WebhookClient  # noqa: PLC0415

        return WebhookClient(self)

    @cached_property
    def webhook_deliveries(self: HttpClient) -> endpoints.WebhookDeliveryClient:
        """Deliveries to webhooks, sent and pending."""
        from prefactor_http.endpoints import WebhookDeliveryClient  # noqa: PLC0415

        return WebhookDeliveryClient(self)

    @cached_property
    def server(self: HttpClient) -> endpoints.ServerClient:
        """The server: its state, and the prices of tokens."""
        from prefactor_http.endpoints import ServerClient  # noqa: PLC0415

        return ServerClient(self)

    def forget_resources(self) -> None:
        """Drop the created clients, because a copy of a client needs its own."""
        for name, value in vars(Resources).items():
            if isinstance(value, cached_property):
                vars(self).pop(name, None)
