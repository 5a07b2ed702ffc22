-- Webhooks: addresses that are told when something happens. Secrets are encrypted.
CREATE TABLE webhook (
    id                    text COLLATE "C" NOT NULL,
    account_id            text COLLATE "C" NOT NULL,
    inserted_at           bigint NOT NULL,
    url                   text COLLATE "C" NOT NULL,
    description           text COLLATE "C",
    events                text COLLATE "C" NOT NULL,
    agent_ids             text COLLATE "C",
    environment_ids       text COLLATE "C",
    purposes              text COLLATE "C",
    status                text COLLATE "C" NOT NULL CHECK (status IN ('enabled', 'disabled')),
    disabled_reason       text COLLATE "C",
    enabled_at            bigint NOT NULL,
    secret                bytea NOT NULL,
    previous_secret       bytea,
    previous_secret_until bigint NOT NULL,
    failures              bigint NOT NULL,
    failing_since         bigint,
    not_before            bigint NOT NULL,
    deleted_at            bigint,
    updated_at            bigint NOT NULL,
    revision              bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

CREATE INDEX webhook_enabled ON webhook (account_id, id) WHERE status = 'enabled';
CREATE INDEX webhook_deleted ON webhook (account_id, id) WHERE deleted_at IS NOT NULL;

-- The outbox, and what became of it.
CREATE TABLE webhook_delivery (
    id                text COLLATE "C" NOT NULL,
    account_id        text COLLATE "C" NOT NULL,
    webhook_id        text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    event_id          text COLLATE "C" NOT NULL,
    event_type        text COLLATE "C" NOT NULL,
    inserted_at       bigint NOT NULL,
    body              bytea NOT NULL,
    status            text COLLATE "C" NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts          bigint NOT NULL,
    next_attempt_at   bigint NOT NULL,
    expires_at        bigint NOT NULL,
    last_attempt_at   bigint,
    response_status   bigint,
    error             text COLLATE "C",
    updated_at        bigint NOT NULL,
    revision          bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

-- What is to be sent next, and whether something of the same run is to be sent before it.
CREATE INDEX webhook_delivery_due
    ON webhook_delivery (account_id, webhook_id, next_attempt_at, inserted_at)
    WHERE status = 'pending';
CREATE INDEX webhook_delivery_in_order
    ON webhook_delivery (account_id, webhook_id, agent_instance_id, inserted_at)
    WHERE status = 'pending';
CREATE INDEX webhook_delivery_age ON webhook_delivery (inserted_at);
-- For lists, and for what goes with a run.
CREATE INDEX webhook_delivery_of_account
    ON webhook_delivery (account_id, inserted_at NULLS FIRST, id);
CREATE INDEX webhook_delivery_of_webhook
    ON webhook_delivery (account_id, webhook_id, inserted_at NULLS FIRST, id);
CREATE INDEX webhook_delivery_of_status
    ON webhook_delivery (account_id, webhook_id, status, inserted_at NULLS FIRST, id);
CREATE INDEX webhook_delivery_of_run
    ON webhook_delivery (account_id, agent_instance_id, inserted_at NULLS FIRST, id);

-- What a run of the agent may cost before an alert is raised, in billionths; NULL for anything.
ALTER TABLE agent ADD COLUMN run_cost_limit bigint;
