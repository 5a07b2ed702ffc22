-- What runs are found by in an account with many of them; each also gives them in the order of ids.
CREATE INDEX agent_instance_purpose ON agent_instance (account_id, purpose, id);
CREATE INDEX agent_instance_environment ON agent_instance (account_id, environment_id, id);
CREATE INDEX agent_instance_version ON agent_instance (account_id, agent_version_id, id);
CREATE INDEX agent_instance_status ON agent_instance (account_id, status, id);
CREATE INDEX agent_instance_failed_spans ON agent_instance (account_id, id)
    WHERE failed_spans > 0;
-- In the order of lists, in which a run that has not started comes before those that have.
CREATE INDEX agent_instance_started ON agent_instance (account_id, started_at NULLS FIRST, id);
CREATE INDEX agent_instance_duration ON agent_instance (account_id, (finished_at - started_at))
    WHERE finished_at IS NOT NULL;
