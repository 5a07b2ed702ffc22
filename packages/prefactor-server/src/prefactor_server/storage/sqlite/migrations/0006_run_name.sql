-- For finding a run by its client's own name of it, whichever agent it is of.
CREATE INDEX agent_instance_name ON agent_instance (account_id, external_identifier, id)
    WHERE external_identifier IS NOT NULL;
