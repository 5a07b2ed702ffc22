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

-- An account can be renamed, so it has a revision like everything that changes.
ALTER TABLE account ADD COLUMN revision bigint NOT NULL DEFAULT 0;

-- Whether something is in use is decided before it is deleted, and another server may begin to use
-- it in between: then one of the two fails here, and is decided again. Checked at the commit,
-- because a batch writes its tables in an order of its own.
ALTER TABLE agent_deployment ADD CONSTRAINT agent_deployment_in_environment
    FOREIGN KEY (account_id, environment_id) REFERENCES environment (account_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE api_token ADD CONSTRAINT api_token_of_agent_deployment
    FOREIGN KEY (account_id, agent_deployment_id) REFERENCES agent_deployment (account_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE agent_instance ADD CONSTRAINT agent_instance_of_agent_deployment
    FOREIGN KEY (account_id, agent_deployment_id) REFERENCES agent_deployment (account_id, id)
    DEFERRABLE INITIALLY DEFERRED;
