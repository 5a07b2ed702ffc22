-- What lists of versions and deployments are found by, and what says whether something is in use.

CREATE INDEX agent_schema_version_of_agent ON agent_schema_version (account_id, agent_id, id);
CREATE INDEX agent_schema_version_external_identifier
    ON agent_schema_version (account_id, agent_id, external_identifier);
CREATE INDEX agent_version_of_agent ON agent_version (account_id, agent_id, id);
CREATE INDEX agent_version_external_identifier
    ON agent_version (account_id, agent_id, external_identifier);
CREATE INDEX agent_deployment_of_agent ON agent_deployment (account_id, agent_id, id);
CREATE INDEX agent_deployment_of_environment ON agent_deployment (account_id, environment_id);
CREATE INDEX api_token_of_deployment ON api_token (account_id, agent_deployment_id);
CREATE INDEX agent_instance_of_deployment ON agent_instance (account_id, agent_deployment_id);
