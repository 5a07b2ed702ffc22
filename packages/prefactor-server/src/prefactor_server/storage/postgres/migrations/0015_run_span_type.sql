-- Which types of spans each run has, derived from the change feed; it finds runs by the types.
CREATE TABLE run_span_type (
    account_id        text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    schema_name       text COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, agent_instance_id, schema_name)
);

CREATE INDEX run_span_type_of_name ON run_span_type (account_id, schema_name, agent_instance_id);
