-- Risk profiles, the people of an account and their invitations, and an index for alerts.

-- Weights, multipliers and thresholds are JSON. A deleted profile stays, unlisted, so that what refers
-- to it can still be told from what refers to nothing.
CREATE TABLE risk_profile (
    id                 text COLLATE "C" NOT NULL,
    account_id         text COLLATE "C" NOT NULL REFERENCES account (id),
    formula            bigint NOT NULL,
    inserted_at        bigint NOT NULL,
    name               text COLLATE "C" NOT NULL,
    description        text COLLATE "C",
    category_weights   text COLLATE "C" NOT NULL,
    action_multipliers text COLLATE "C" NOT NULL,
    thresholds         text COLLATE "C" NOT NULL,
    agreed_risk        text COLLATE "C"
        CHECK (agreed_risk IN ('low', 'medium', 'high', 'critical')),
    deleted_at         bigint,
    updated_at         bigint NOT NULL,
    revision           bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

CREATE TABLE admin_user (
    id          text COLLATE "C" NOT NULL,
    account_id  text COLLATE "C" NOT NULL REFERENCES account (id),
    email       text COLLATE "C" NOT NULL,
    inserted_at bigint NOT NULL,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (account_id, id)
);

CREATE UNIQUE INDEX admin_user_email ON admin_user (account_id, email);

-- pending -> used | revoked. Of its token the hash is kept.
CREATE TABLE admin_user_invite (
    id          text COLLATE "C" NOT NULL,
    account_id  text COLLATE "C" NOT NULL REFERENCES account (id),
    email       text COLLATE "C" NOT NULL,
    token_hash  bytea NOT NULL UNIQUE,
    inserted_at bigint NOT NULL,
    status      text COLLATE "C" NOT NULL CHECK (status IN ('pending', 'used', 'revoked')),
    updated_at  bigint NOT NULL,
    revision    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

-- For alerts: runs that ended badly, newest first. Nothing else pays for it.
CREATE INDEX agent_instance_ended_badly ON agent_instance (account_id, finished_at)
    WHERE status IN ('failed', 'terminated');
