-- The first schema. Times are microseconds since 1970 (UTC); every row names its account, and ids
-- are unique per account, because clients may bring their own.
--
-- Texts compare byte by byte (COLLATE "C"): a list has the same order on every machine and in every
-- backend, and no upgrade of the machine's locales breaks an index.
--
-- revision counts how often a row that can change did. A decision was made on one revision and is written only
-- if the row still has it; the span counts of a run change without it, because they are added to.

CREATE TABLE account (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    name        text COLLATE "C" NOT NULL,
    partition   bigint NOT NULL,
    inserted_at bigint NOT NULL,
    updated_at  bigint NOT NULL
);

CREATE TABLE environment (
    id          text COLLATE "C" NOT NULL,
    account_id  text COLLATE "C" NOT NULL REFERENCES account (id),
    name        text COLLATE "C" NOT NULL,
    is_default  boolean NOT NULL,
    inserted_at bigint NOT NULL,
    updated_at  bigint NOT NULL,
    revision    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

-- An account has at most one default environment.
CREATE UNIQUE INDEX environment_default ON environment (account_id) WHERE is_default;

-- active <-> suspended -> revoked; an active token past expires_at counts as expired.
CREATE TABLE api_token (
    id                  text COLLATE "C" NOT NULL,
    account_id          text COLLATE "C" NOT NULL REFERENCES account (id),
    token_scope         text COLLATE "C" NOT NULL
        CHECK (token_scope IN ('account', 'agent_deployment')),
    agent_id            text COLLATE "C",
    environment_id      text COLLATE "C",
    agent_deployment_id text COLLATE "C",
    token_hash          bytea NOT NULL UNIQUE,
    token_start         text COLLATE "C" NOT NULL,
    expires_at          bigint,
    inserted_at         bigint NOT NULL,
    status              text COLLATE "C" NOT NULL
        CHECK (status IN ('active', 'suspended', 'revoked')),
    last_used_at        bigint,
    updated_at          bigint NOT NULL,
    revision            bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

CREATE TABLE agent (
    id                  text COLLATE "C" NOT NULL,
    account_id          text COLLATE "C" NOT NULL REFERENCES account (id),
    name                text COLLATE "C" NOT NULL,
    description         text COLLATE "C",
    external_identifier text COLLATE "C",
    owner_person_id     text COLLATE "C",
    risk_profile_id     text COLLATE "C",
    team_id             text COLLATE "C",
    retired_at          bigint,
    inserted_at         bigint NOT NULL,
    updated_at          bigint NOT NULL,
    revision            bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

CREATE UNIQUE INDEX agent_external_identifier ON agent (account_id, external_identifier)
    WHERE external_identifier IS NOT NULL;

-- What schema versions declare, as JSON, once per account however many versions share it.
CREATE TABLE schema_content (
    account_id   text COLLATE "C" NOT NULL,
    content_hash bytea NOT NULL,
    codec        bigint NOT NULL,
    body         bytea NOT NULL,
    PRIMARY KEY (account_id, content_hash)
);

-- Bodies are compressed already: PostgreSQL need not try.
ALTER TABLE schema_content ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE agent_schema_version (
    id                  text COLLATE "C" NOT NULL,
    account_id          text COLLATE "C" NOT NULL REFERENCES account (id),
    agent_id            text COLLATE "C" NOT NULL,
    external_identifier text COLLATE "C",
    content_hash        bytea NOT NULL,
    span_type_count     bigint NOT NULL,
    inserted_at         bigint NOT NULL,
    updated_at          bigint NOT NULL,
    PRIMARY KEY (account_id, id)
);

CREATE UNIQUE INDEX agent_schema_version_content
    ON agent_schema_version (account_id, agent_id, content_hash);

CREATE TABLE agent_version (
    id                      text COLLATE "C" NOT NULL,
    account_id              text COLLATE "C" NOT NULL REFERENCES account (id),
    agent_id                text COLLATE "C" NOT NULL,
    agent_schema_version_id text COLLATE "C" NOT NULL,
    external_identifier     text COLLATE "C",
    name                    text COLLATE "C",
    description             text COLLATE "C",
    runtime_environment     bytea,
    metadata_hash           bytea NOT NULL,
    inserted_at             bigint NOT NULL,
    updated_at              bigint NOT NULL,
    PRIMARY KEY (account_id, id)
);

CREATE UNIQUE INDEX agent_version_content
    ON agent_version (account_id, agent_id, metadata_hash, agent_schema_version_id);

CREATE TABLE agent_deployment (
    id                 text COLLATE "C" NOT NULL,
    account_id         text COLLATE "C" NOT NULL REFERENCES account (id),
    agent_id           text COLLATE "C" NOT NULL,
    environment_id     text COLLATE "C" NOT NULL,
    current_version_id text COLLATE "C",
    inserted_at        bigint NOT NULL,
    updated_at         bigint NOT NULL,
    revision           bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

CREATE UNIQUE INDEX agent_deployment_place
    ON agent_deployment (account_id, agent_id, environment_id);

-- pending -> active -> complete | failed | cancelled | terminated, and pending -> cancelled.
-- The five *_spans are the run's span counts, kept as spans are written; nothing indexed changes
-- with them, and the pages have room, so that counting stays within a page.
CREATE TABLE agent_instance (
    id                      text COLLATE "C" NOT NULL,
    account_id              text COLLATE "C" NOT NULL,
    agent_id                text COLLATE "C" NOT NULL,
    agent_version_id        text COLLATE "C" NOT NULL,
    agent_schema_version_id text COLLATE "C" NOT NULL,
    agent_deployment_id     text COLLATE "C" NOT NULL,
    environment_id          text COLLATE "C" NOT NULL,
    external_identifier     text COLLATE "C",
    purpose                 text COLLATE "C" NOT NULL
        CHECK (purpose IN ('live', 'smoke_test', 'eval')),
    inserted_at             bigint NOT NULL,
    status                  text COLLATE "C" NOT NULL CHECK (status IN
        ('pending', 'active', 'complete', 'failed', 'cancelled', 'terminated')),
    started_at              bigint,
    finished_at             bigint,
    termination_reason      text COLLATE "C",
    pending_spans           bigint NOT NULL,
    active_spans            bigint NOT NULL,
    complete_spans          bigint NOT NULL,
    failed_spans            bigint NOT NULL,
    cancelled_spans         bigint NOT NULL,
    updated_at              bigint NOT NULL,
    revision                bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
) WITH (fillfactor = 70);

CREATE INDEX agent_instance_of_agent ON agent_instance (account_id, agent_id, id);
-- For an agent's latest registration, which tells an active agent from a dormant one.
CREATE INDEX agent_instance_registered ON agent_instance (account_id, agent_id, inserted_at);
CREATE UNIQUE INDEX agent_instance_external_identifier
    ON agent_instance (account_id, agent_id, external_identifier)
    WHERE external_identifier IS NOT NULL;

-- active -> complete | failed | cancelled, and pending -> cancelled; narrow, so that a run's
-- skeleton is one short scan. A span is only ever changed by a transaction that has locked its run.
CREATE TABLE agent_span (
    id                text COLLATE "C" NOT NULL,
    account_id        text COLLATE "C" NOT NULL,
    agent_id          text COLLATE "C" NOT NULL,
    environment_id    text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    parent_span_id    text COLLATE "C",
    schema_name       text COLLATE "C" NOT NULL,
    schema_title      text COLLATE "C",
    inserted_at       bigint NOT NULL,
    payload_size      bigint NOT NULL,
    payload_problem   text COLLATE "C",
    status            text COLLATE "C" NOT NULL CHECK (status IN
        ('pending', 'active', 'complete', 'failed', 'cancelled')),
    started_at        bigint,
    finished_at       bigint,
    summary           text COLLATE "C",
    flags             bigint NOT NULL,
    result_size       bigint NOT NULL,
    result_problem    text COLLATE "C",
    prompt_tokens     bigint,
    completion_tokens bigint,
    total_tokens      bigint,
    model             text COLLATE "C",
    tool_name         text COLLATE "C",
    updated_at        bigint NOT NULL,
    revision          bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
) WITH (fillfactor = 90);

CREATE INDEX agent_span_of_instance ON agent_span (account_id, agent_instance_id, id);
CREATE INDEX agent_span_of_agent ON agent_span (account_id, agent_id, id);

-- part is 0 for the payload and 1 for the result payload.
CREATE TABLE span_payload (
    account_id text COLLATE "C" NOT NULL,
    span_id    text COLLATE "C" NOT NULL,
    part       bigint NOT NULL,
    codec      bigint NOT NULL,
    body       bytea NOT NULL,
    PRIMARY KEY (account_id, span_id, part)
);

ALTER TABLE span_payload ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE idempotency_key (
    account_id  text COLLATE "C" NOT NULL,
    operation   text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    resource_id text COLLATE "C" NOT NULL,
    inserted_at bigint NOT NULL,
    PRIMARY KEY (account_id, operation, key)
);

-- For forgetting the oldest.
CREATE INDEX idempotency_key_age ON idempotency_key (inserted_at);

CREATE TABLE audit_entry (
    account_id  text COLLATE "C" NOT NULL,
    at          bigint NOT NULL,
    actor       text COLLATE "C" NOT NULL,
    action      text COLLATE "C" NOT NULL,
    resource_id text COLLATE "C" NOT NULL,
    detail      text COLLATE "C"
);

CREATE INDEX audit_entry_of_account ON audit_entry (account_id, at);

-- One row per committed batch, kept for an hour. A server whose connection broke while it committed
-- looks here for what became of the batch, and takes the place of one that has not arrived.
CREATE TABLE write_receipt (
    id uuid NOT NULL PRIMARY KEY,
    at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
);

CREATE INDEX write_receipt_age ON write_receipt (at);
