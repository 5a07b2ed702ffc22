-- Webhooks: addresses that are told when something happens. Secrets are encrypted.
CREATE TABLE webhook (
    id                    TEXT NOT NULL,
    account_id            TEXT NOT NULL,
    inserted_at           INTEGER NOT NULL,
    url                   TEXT NOT NULL,
    description           TEXT,
    events                TEXT NOT NULL,
    agent_ids             TEXT,
    environment_ids       TEXT,
    purposes              TEXT,
    status                TEXT NOT NULL CHECK (status IN ('enabled', 'disabled')),
    disabled_reason       TEXT,
    enabled_at            INTEGER NOT NULL,
    secret                BLOB NOT NULL,
    previous_secret       BLOB,
    previous_secret_until INTEGER NOT NULL,
    failures              INTEGER NOT NULL,
    failing_since         INTEGER,
    not_before            INTEGER NOT NULL,
    deleted_at            INTEGER,
    updated_at            INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE INDEX webhook_enabled ON webhook (account_id, id) WHERE status = 'enabled';
CREATE INDEX webhook_deleted ON webhook (account_id, id) WHERE deleted_at IS NOT NULL;

-- The outbox, and what became of it.
CREATE TABLE webhook_delivery (
    id                TEXT NOT NULL,
    account_id        TEXT NOT NULL,
    webhook_id        TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    event_id          TEXT NOT NULL,
    event_type        TEXT NOT NULL,
    inserted_at       INTEGER NOT NULL,
    body              BLOB NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts          INTEGER NOT NULL,
    next_attempt_at   INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    last_attempt_at   INTEGER,
    response_status   INTEGER,
    error             TEXT,
    updated_at        INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

-- What is to be sent next, and whether something of the same run is to be sent before it.
CREATE INDEX webhook_delivery_due
    ON webhook_delivery (account_id, webhook_id, next_attempt_at, inserted_at)
    WHERE status = 'pending';
CREATE INDEX webhook_delivery_in_order
    ON webhook_delivery (account_id, webhook_id, agent_instance_id, inserted_at)
    WHERE status = 'pending';
CREATE INDEX webhook_delivery_age ON webhook_delivery (inserted_at);
-- For lists, and for what goes with a run.
CREATE INDEX webhook_delivery_of_account ON webhook_delivery (account_id, inserted_at, id);
CREATE INDEX webhook_delivery_of_webhook
    ON webhook_delivery (account_id, webhook_id, inserted_at, id);
CREATE INDEX webhook_delivery_of_status
    ON webhook_delivery (account_id, webhook_id, status, inserted_at, id);
CREATE INDEX webhook_delivery_of_run
    ON webhook_delivery (account_id, agent_instance_id, inserted_at, id);

-- What a run of the agent may cost before an alert is raised, in billionths; NULL for anything.
ALTER TABLE agent ADD COLUMN run_cost_limit INTEGER;
