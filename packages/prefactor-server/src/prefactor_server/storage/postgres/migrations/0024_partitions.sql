-- Spans and payloads are partitioned by their ids, which begin with a time. The tables so far become
-- the DEFAULT partitions, rows and indexes as they are. The server makes the partitions by time; see
-- upkeep/partitions.py.

ALTER TABLE agent_span RENAME TO agent_span_default;
ALTER INDEX agent_span_pkey RENAME TO agent_span_default_pkey;
ALTER INDEX agent_span_of_instance RENAME TO agent_span_default_of_instance;
ALTER INDEX agent_span_of_agent RENAME TO agent_span_default_of_agent;

CREATE TABLE agent_span (
    LIKE agent_span_default INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE,
    CONSTRAINT agent_span_pkey PRIMARY KEY (account_id, id)
) PARTITION BY RANGE (id);

CREATE INDEX agent_span_of_instance ON agent_span (account_id, agent_instance_id, id);
CREATE INDEX agent_span_of_agent ON agent_span (account_id, agent_id, id);

ALTER TABLE agent_span ATTACH PARTITION agent_span_default DEFAULT;

ALTER TABLE span_payload RENAME TO span_payload_default;
ALTER INDEX span_payload_pkey RENAME TO span_payload_default_pkey;

CREATE TABLE span_payload (
    LIKE span_payload_default INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE,
    CONSTRAINT span_payload_pkey PRIMARY KEY (account_id, span_id, part)
) PARTITION BY RANGE (span_id);

ALTER TABLE span_payload ATTACH PARTITION span_payload_default DEFAULT;
