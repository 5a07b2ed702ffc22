-- What runs are found by in an account with many of them; each also gives them in the order of ids.
CREATE INDEX agent_instance_purpose ON agent_instance (account_id, purpose, id);
CREATE INDEX agent_instance_environment ON agent_instance (account_id, environment_id, id);
CREATE INDEX agent_instance_version ON agent_instance (account_id, agent_version_id, id);
CREATE INDEX agent_instance_status ON agent_instance (account_id, status, id);
CREATE INDEX agent_instance_failed_spans ON agent_instance (account_id, id)
    WHERE failed_spans > 0;
CREATE INDEX agent_instance_started ON agent_instance (account_id, started_at, id);
CREATE INDEX agent_instance_duration ON agent_instance (account_id, finished_at - started_at)
    WHERE finished_at IS NOT NULL;

-- Of indexes that look alike to it, SQLite takes the youngest: an agent has fewer runs than an
-- environment, a status or a purpose.
DROP INDEX agent_instance_of_agent;
CREATE INDEX agent_instance_of_agent ON agent_instance (account_id, agent_id, id);
