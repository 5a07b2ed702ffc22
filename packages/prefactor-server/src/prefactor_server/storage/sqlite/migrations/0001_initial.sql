-- The first schema. Times are microseconds since 1970 (UTC); every row names its account, and ids
-- are unique per account, because clients may bring their own.

CREATE TABLE account (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    partition   INTEGER NOT NULL,
    inserted_at INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE environment (
    id          TEXT NOT NULL,
    account_id  TEXT NOT NULL REFERENCES account (id),
    name        TEXT NOT NULL,
    is_default  INTEGER NOT NULL,
    inserted_at INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

-- An account has at most one default environment.
CREATE UNIQUE INDEX environment_default ON environment (account_id) WHERE is_default = 1;

-- active <-> suspended -> revoked; an active token past expires_at counts as expired.
CREATE TABLE api_token (
    id                  TEXT NOT NULL,
    account_id          TEXT NOT NULL REFERENCES account (id),
    token_scope         TEXT NOT NULL CHECK (token_scope IN ('account', 'agent_deployment')),
    agent_id            TEXT,
    environment_id      TEXT,
    agent_deployment_id TEXT,
    token_hash          BLOB NOT NULL UNIQUE,
    token_start         TEXT NOT NULL,
    expires_at          INTEGER,
    inserted_at         INTEGER NOT NULL,
    status              TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'revoked')),
    last_used_at        INTEGER,
    updated_at          INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE TABLE agent (
    id                  TEXT NOT NULL,
    account_id          TEXT NOT NULL REFERENCES account (id),
    name                TEXT NOT NULL,
    description         TEXT,
    external_identifier TEXT,
    owner_person_id     TEXT,
    risk_profile_id     TEXT,
    team_id             TEXT,
    retired_at          INTEGER,
    inserted_at         INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE UNIQUE INDEX agent_external_identifier ON agent (account_id, external_identifier)
    WHERE external_identifier IS NOT NULL;

-- What schema versions declare, as JSON, once per account however many versions share it.
CREATE TABLE schema_content (
    account_id   TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    codec        INTEGER NOT NULL,
    body         BLOB NOT NULL,
    PRIMARY KEY (account_id, content_hash)
) STRICT;

CREATE TABLE agent_schema_version (
    id                  TEXT NOT NULL,
    account_id          TEXT NOT NULL REFERENCES account (id),
    agent_id            TEXT NOT NULL,
    external_identifier TEXT,
    content_hash        BLOB NOT NULL,
    span_type_count     INTEGER NOT NULL,
    inserted_at         INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE UNIQUE INDEX agent_schema_version_content
    ON agent_schema_version (account_id, agent_id, content_hash);

CREATE TABLE agent_version (
    id                      TEXT NOT NULL,
    account_id              TEXT NOT NULL REFERENCES account (id),
    agent_id                TEXT NOT NULL,
    agent_schema_version_id TEXT NOT NULL,
    external_identifier     TEXT,
    name                    TEXT,
    description             TEXT,
    runtime_environment     BLOB,
    metadata_hash           BLOB NOT NULL,
    inserted_at             INTEGER NOT NULL,
    updated_at              INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE UNIQUE INDEX agent_version_content
    ON agent_version (account_id, agent_id, metadata_hash, agent_schema_version_id);

CREATE TABLE agent_deployment (
    id                 TEXT NOT NULL,
    account_id         TEXT NOT NULL REFERENCES account (id),
    agent_id           TEXT NOT NULL,
    environment_id     TEXT NOT NULL,
    current_version_id TEXT,
    inserted_at        INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE UNIQUE INDEX agent_deployment_place
    ON agent_deployment (account_id, agent_id, environment_id);

-- pending -> active -> complete | failed | cancelled | terminated, and pending -> cancelled.
-- The five *_spans are the run's span counts, kept as spans are written.
CREATE TABLE agent_instance (
    id                      TEXT NOT NULL,
    account_id              TEXT NOT NULL,
    agent_id                TEXT NOT NULL,
    agent_version_id        TEXT NOT NULL,
    agent_schema_version_id TEXT NOT NULL,
    agent_deployment_id     TEXT NOT NULL,
    environment_id          TEXT NOT NULL,
    external_identifier     TEXT,
    purpose                 TEXT NOT NULL CHECK (purpose IN ('live', 'smoke_test', 'eval')),
    inserted_at             INTEGER NOT NULL,
    status                  TEXT NOT NULL CHECK (status IN
        ('pending', 'active', 'complete', 'failed', 'cancelled', 'terminated')),
    started_at              INTEGER,
    finished_at             INTEGER,
    termination_reason      TEXT,
    pending_spans           INTEGER NOT NULL,
    active_spans            INTEGER NOT NULL,
    complete_spans          INTEGER NOT NULL,
    failed_spans            INTEGER NOT NULL,
    cancelled_spans         INTEGER NOT NULL,
    updated_at              INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE INDEX agent_instance_of_agent ON agent_instance (account_id, agent_id, id);
-- For an agent's latest registration, which tells an active agent from a dormant one.
CREATE INDEX agent_instance_registered ON agent_instance (account_id, agent_id, inserted_at);
CREATE UNIQUE INDEX agent_instance_external_identifier
    ON agent_instance (account_id, agent_id, external_identifier)
    WHERE external_identifier IS NOT NULL;

-- active -> complete | failed | cancelled, and pending -> cancelled; narrow, so that a run's
-- skeleton is one short scan. seq is the database's own number for a span: its payloads hang from
-- it without repeating the id.
CREATE TABLE agent_span (
    seq               INTEGER PRIMARY KEY,
    id                TEXT NOT NULL,
    account_id        TEXT NOT NULL,
    agent_id          TEXT NOT NULL,
    environment_id    TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    parent_span_id    TEXT,
    schema_name       TEXT NOT NULL,
    schema_title      TEXT,
    inserted_at       INTEGER NOT NULL,
    payload_size      INTEGER NOT NULL,
    payload_problem   TEXT,
    status            TEXT NOT NULL CHECK (status IN
        ('pending', 'active', 'complete', 'failed', 'cancelled')),
    started_at        INTEGER,
    finished_at       INTEGER,
    summary           TEXT,
    flags             INTEGER NOT NULL,
    result_size       INTEGER NOT NULL,
    result_problem    TEXT,
    prompt_tokens     INTEGER,
    completion_tokens INTEGER,
    total_tokens      INTEGER,
    model             TEXT,
    tool_name         TEXT,
    updated_at        INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX agent_span_id ON agent_span (account_id, id);
CREATE INDEX agent_span_of_agent ON agent_span (account_id, agent_id, id);
-- The last: of two indexes that look alike to it, SQLite takes the younger, and the spans of a run
-- that is known to be of an agent are fewer than the spans of that agent.
CREATE INDEX agent_span_of_instance ON agent_span (account_id, agent_instance_id, id);

-- id is the span's seq times two, plus 0 for the payload and 1 for the result payload.
CREATE TABLE span_payload (
    id    INTEGER PRIMARY KEY,
    codec INTEGER NOT NULL,
    body  BLOB NOT NULL
) STRICT;

-- Rows are in the order of their arrival, so the oldest are pruned without an index on time.
CREATE TABLE idempotency_key (
    account_id  TEXT NOT NULL,
    operation   TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    resource_id TEXT NOT NULL,
    inserted_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX idempotency_key_of_operation ON idempotency_key (account_id, operation, key);

CREATE TABLE audit_entry (
    account_id  TEXT NOT NULL,
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    action      TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    detail      TEXT
) STRICT;

CREATE INDEX audit_entry_of_account ON audit_entry (account_id, at);
