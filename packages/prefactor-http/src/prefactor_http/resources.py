"""The resource clients of the API as properties, each made when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from . import endpoints

if TYPE_CHECKING:
    from .endpoints._base import HttpClient


class Resources:
    """Base of the HTTP client: what it can be asked for, by noun."""

    @cached_property
    def accounts(self: HttpClient) -> endpoints.AccountClient:
        """Accounts: see and rename them."""
        return endpoints.AccountClient(self)

    @cached_property
    def agents(self: HttpClient) -> endpoints.AgentClient:
        """Agents: create, find, change, retire."""
        return endpoints.AgentClient(self)

    @cached_property
    def agent_deployments(self: HttpClient) -> endpoints.AgentDeploymentClient:
        """Which version of an agent is current in an environment."""
        return endpoints.AgentDeploymentClient(self)

    @cached_property
    def agent_instances(self: HttpClient) -> endpoints.AgentInstanceClient:
        """Runs: register, start, finish, find, judge, stop."""
        return endpoints.AgentInstanceClient(self)

    @cached_property
    def agent_schema_versions(self: HttpClient) -> endpoints.AgentSchemaVersionClient:
        """The kinds of spans and quality records an agent sends."""
        return endpoints.AgentSchemaVersionClient(self)

    @cached_property
    def agent_spans(self: HttpClient) -> endpoints.AgentSpanClient:
        """The steps of runs: create, finish, read."""
        return endpoints.AgentSpanClient(self)

    @cached_property
    def agent_versions(self: HttpClient) -> endpoints.AgentVersionClient:
        """What ran, and with which schemas."""
        return endpoints.AgentVersionClient(self)

    @cached_property
    def api_tokens(self: HttpClient) -> endpoints.ApiTokenClient:
        """Tokens: issue, suspend, revoke."""
        return endpoints.ApiTokenClient(self)

    @cached_property
    def bulk(self: HttpClient) -> endpoints.BulkClient:
        """Several operations in one round trip."""
        return endpoints.BulkClient(self)

    @cached_property
    def environments(self: HttpClient) -> endpoints.EnvironmentClient:
        """Where agents run."""
        return endpoints.EnvironmentClient(self)

    @cached_property
    def risk_profiles(self: HttpClient) -> endpoints.RiskProfileClient:
        """How an account weighs data and actions."""
        return endpoints.RiskProfileClient(self)

    def forget_resources(self) -> None:
        """Drop what was made so far; a copy of a client needs its own."""
        for name, value in vars(Resources).items():
            if isinstance(value, cached_property):
                vars(self).pop(name, None)
