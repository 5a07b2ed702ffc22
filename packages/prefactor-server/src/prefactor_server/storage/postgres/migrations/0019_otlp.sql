-- Why the server ended a run by itself; NULL when its agent or an operator did.
ALTER TABLE agent_instance ADD COLUMN ended_by text COLLATE "C";

-- OpenTelemetry traces whose spans still come; see the domain's class.
CREATE TABLE otlp_trace (
    id                text COLLATE "C" NOT NULL,
    account_id        text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    inserted_at       bigint NOT NULL,
    is_open           boolean NOT NULL,
    last_end          bigint NOT NULL,
    document          bytea NOT NULL,
    updated_at        bigint NOT NULL,
    revision          bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

CREATE INDEX otlp_trace_silent ON otlp_trace (updated_at);
