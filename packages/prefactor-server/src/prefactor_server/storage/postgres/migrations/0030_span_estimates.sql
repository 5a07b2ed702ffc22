-- Reads of spans keep one plan for all runs and agents. Where statistics show a single run or agent,
-- such a plan reads all spans of the account by the primary key, and the first spans of another run
-- or agent are found by reading them all. With these numbers it uses the index of runs or agents,
-- which costs no more where there really is one.

DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'agent_span'::regclass LOOP
        EXECUTE format(
            'ALTER TABLE %s ALTER COLUMN agent_instance_id SET (n_distinct = -0.01), '
            'ALTER COLUMN agent_id SET (n_distinct = 1000)', partition);
        EXECUTE format('ANALYZE %s (agent_instance_id, agent_id)', partition);
    END LOOP;
END $$;
