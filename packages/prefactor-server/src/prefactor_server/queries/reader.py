"""All reads of the server over one storage."""

from __future__ import annotations

from dataclasses import dataclass

from prefactor_server.queries.account import AccountQueries
from prefactor_server.queries.agent import AgentQueries
from prefactor_server.queries.agent_deployment import AgentDeploymentQueries
from prefactor_server.queries.agent_instance import AgentInstanceQueries
from prefactor_server.queries.agent_schema_version import AgentSchemaVersionQueries
from prefactor_server.queries.agent_span import AgentSpanQueries
from prefactor_server.queries.agent_version import AgentVersionQueries
from prefactor_server.queries.alert import AlertQueries
from prefactor_server.queries.api_token import ApiTokenQueries
from prefactor_server.queries.derived import DerivedQueries
from prefactor_server.queries.environment import EnvironmentQueries
from prefactor_server.queries.event import EventQueries
from prefactor_server.queries.otlp_trace import OtlpTraceQueries
from prefactor_server.queries.people.admin_user import AdminUserQueries
from prefactor_server.queries.people.admin_user_invite import AdminUserInviteQueries
from prefactor_server.queries.people.audit import AuditQueries
from prefactor_server.queries.people.session import SessionQueries
from prefactor_server.queries.risk import RiskQueries
from prefactor_server.queries.risk_profile import RiskProfileQueries
from prefactor_server.queries.runs.agent_instance_facets import AgentInstanceFacetsQueries
from prefactor_server.queries.runs.agent_instance_skeleton import AgentInstanceSkeletonQueries
from prefactor_server.queries.runs.export import ExportQueries
from prefactor_server.queries.runs.retention_policy import RetentionPolicyQueries
from prefactor_server.queries.search import SearchQueries
from prefactor_server.queries.series import SeriesQueries
from prefactor_server.queries.server import ServerQueries
from prefactor_server.queries.webhook import WebhookQueries
from prefactor_server.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Reader:
    """The reads of every noun."""

    accounts: AccountQueries
    environments: EnvironmentQueries
    agents: AgentQueries
    agent_instances: AgentInstanceQueries
    search: SearchQueries
    derived: DerivedQueries
    agent_instance_facets: AgentInstanceFacetsQueries
    agent_instance_skeletons: AgentInstanceSkeletonQueries
    agent_deployments: AgentDeploymentQueries
    agent_versions: AgentVersionQueries
    agent_schema_versions: AgentSchemaVersionQueries
    agent_spans: AgentSpanQueries
    api_tokens: ApiTokenQueries
    risk_profiles: RiskProfileQueries
    risks: RiskQueries
    series: SeriesQueries
    server: ServerQueries
    alerts: AlertQueries
    audit: AuditQueries
    admin_users: AdminUserQueries
    admin_user_invites: AdminUserInviteQueries
    events: EventQueries
    sessions: SessionQueries
    otlp_traces: OtlpTraceQueries
    webhooks: WebhookQueries
    exports: ExportQueries
    retention_policies: RetentionPolicyQueries

    @classmethod
    def for_storage(cls, storage: Storage) -> Reader:
        """Return the reads of a storage."""
        risks = RiskQueries(storage)
        return cls(
            accounts=AccountQueries(storage),
            environments=EnvironmentQueries(storage),
            agents=AgentQueries(storage),
            agent_instances=AgentInstanceQueries(storage),
            search=SearchQueries(storage),
            derived=DerivedQueries(storage),
            agent_instance_facets=AgentInstanceFacetsQueries(storage),
            agent_instance_skeletons=AgentInstanceSkeletonQueries(storage),
            agent_deployments=AgentDeploymentQueries(storage),
            agent_versions=AgentVersionQueries(storage),
            agent_schema_versions=AgentSchemaVersionQueries(storage),
            agent_spans=AgentSpanQueries(storage),
            api_tokens=ApiTokenQueries(storage),
            risk_profiles=RiskProfileQueries(storage),
            risks=risks,
            alerts=AlertQueries(storage),
            series=SeriesQueries(storage),
            server=ServerQueries(storage),
            audit=AuditQueries(storage),
            admin_users=AdminUserQueries(storage),
            admin_user_invites=AdminUserInviteQueries(storage),
            events=EventQueries(storage),
            sessions=SessionQueries(storage),
            otlp_traces=OtlpTraceQueries(storage),
            webhooks=WebhookQueries(storage),
            exports=ExportQueries(storage),
            retention_policies=RetentionPolicyQueries(storage),
        )
