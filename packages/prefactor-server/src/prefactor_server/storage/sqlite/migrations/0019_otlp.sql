-- Why the server ended a run by itself; NULL when its agent or an operator did.
ALTER TABLE agent_instance ADD COLUMN ended_by TEXT;

-- OpenTelemetry traces whose spans still come; see the domain's class.
CREATE TABLE otlp_trace (
    id                TEXT NOT NULL,
    account_id        TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    inserted_at       INTEGER NOT NULL,
    is_open           INTEGER NOT NULL,
    last_end          INTEGER NOT NULL,
    document          BLOB NOT NULL,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE INDEX otlp_trace_silent ON otlp_trace (updated_at);
