-- What evaluations said of runs: one document a run, with a payload and a summary by name. Apart
-- from the run, because lists and batches read runs all the time and this hardly ever.
CREATE TABLE agent_instance_quality (
    id          text COLLATE "C" NOT NULL,
    account_id  text COLLATE "C" NOT NULL,
    inserted_at bigint NOT NULL,
    document    bytea NOT NULL,
    updated_at  bigint NOT NULL,
    revision    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

-- An agent that another server has come to refer to is not deleted, see 0002.
ALTER TABLE agent_deployment ADD CONSTRAINT agent_deployment_of_existing_agent
    FOREIGN KEY (account_id, agent_id) REFERENCES agent (account_id, id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE agent_schema_version ADD CONSTRAINT agent_schema_version_of_existing_agent
    FOREIGN KEY (account_id, agent_id) REFERENCES agent (account_id, id)
    DEFERRABLE INITIALLY DEFERRED;
